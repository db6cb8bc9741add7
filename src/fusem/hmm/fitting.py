"""A fit of a hidden Markov model: sweeps over the sequences, steps of the parameters, and what to warn of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.history import Sweep
from fusem.em.loop import ROUNDING, Run, expectation_maximisation, falls
from fusem.em.summary import Summary
from fusem.em.values import column_name, first_infinite, not_finite
from fusem.em.workers import Workers
from fusem.exceptions import (
    ConstantColumnWarning,
    DegenerateComponentWarning,
    EmptyComponentWarning,
    LikelihoodDecreaseWarning,
    warn,
)
from fusem.hmm import chain_prior
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.forward_backward import swept
from fusem.hmm.layout import Ints
from fusem.hmm.monitor import decides, monitor_of
from fusem.hmm.observations import Observations

if TYPE_CHECKING:
    from fusem.hmm.base import BaseHMM

Array = NDArray[np.float64]
logger = logging.getLogger("fusem")


class Fit:
    """One call of `fit`: the sequences, and the kernels for them."""

    def __init__(
        self,
        estimator: BaseHMM,
        family: Any,
        prior: Any,
        observations: Observations,
        weights: Array,
        summary: Summary,
        workers: Workers,
    ) -> None:
        self.estimator, self.prior = estimator, prior
        self.observations, self.weights = observations, weights
        self.workers, self.constraints = workers, estimator._constraints()
        self.monitor = monitor_of(estimator)
        settings = estimator if decides(self.monitor) else self.monitor
        self.tol, self.n_iter = settings.tol, settings.n_iter
        self.engine = ChainEngine(
            family, estimator.n_components, observations.n_columns, observations.dtype,
            summary.missing is not None,
        )  # fmt: skip
        self.layout = self.engine.layout(observations.lengths)
        self.unseen: Ints = np.empty(0, dtype=np.int64)
        self.by_prior: NDArray[np.bool_] = np.empty(0, dtype=bool)  # of these: whose rows it gives
        self.held: list[int] = []
        self.sums: Array = np.empty(0)  # of the emissions, in the last step
        has_covariances = "covars_" in estimator._emissions.values()
        looked = has_covariances and observations.n_rows > 1
        self.constant: Ints = np.flatnonzero((summary.variances == 0.0) & looked)

    def sweep(self, model: ChainModel) -> Array:
        """The statistic of all sequences."""
        given = self.engine, model, self.observations, self.layout, self.weights, self.workers
        statistic, evidence = swept(*given)
        assert statistic is not None
        if not np.isfinite(statistic).all():
            raise self._not_finite(evidence)
        return statistic

    def _not_finite(self, evidence: Array) -> ValueError:
        counts = self.weights[self.layout.sequence] > 0.0  # of others nothing is summed
        impossible = np.flatnonzero(counts & ~np.isfinite(evidence))
        if not impossible.size:  # every density is a number, but not the sums of squares
            return not_finite(self.observations.rows)
        return self._impossible(int(self.layout.sequence[impossible[0]]))

    def _impossible(self, number: int) -> ValueError:
        last = int(self.observations.ends[number])
        first = last - int(self.observations.lengths[number])
        return first_infinite(self.observations.rows) or ValueError(
            f"Sequence {number} (rows {first} to {last - 1}) is impossible under the current parameters: a "
            "start, transition or value of probability 0, or values so far from every state that their "
            "density underflows. Allow what happens there (startprob_, transmat_, transmat_mask, known "
            "states), scale the columns, or drop the sequence."
        )

    def maximize(self, model: ChainModel, statistic: Array) -> ChainModel:
        """The M-step."""
        view, chosen = self.engine.view(statistic), self.estimator.params
        start, moves, components = model
        self.sums = view.sums
        if "s" in chosen:
            start = chain_prior.renewed(start, view.starts, self.estimator.startprob_prior)
        if "t" in chosen:
            left = view.moves.sum(axis=1) > 0.0
            self.unseen = np.flatnonzero(~left & ~self.constraints.fixed)
            counts = moves, view.moves, self.estimator.transmat_prior
            self.by_prior = chain_prior.counted(*counts).sum(axis=1)[self.unseen] > 0.0
            moves = chain_prior.renewed(*counts)
            moves = self.constraints.with_fixed(moves)
        if any(letter in chosen for letter in self.estimator._emissions):
            given = components, view.sums, self.prior
            with self.engine.one_thread():
                components, self.held = self.estimator._renew_emission(*given)
        return ChainModel(start, moves, components)

    def objective(self, model: ChainModel, statistic: Array) -> float:
        """Log-likelihood of all sequences, and log-density of the priors."""
        self.monitor.report(float(statistic[0]))
        e = self.estimator
        with self.engine.one_thread():
            emission = e._log_prior(model.components, self.prior)
        chain = chain_prior.log_prior(model.start, e.startprob_prior)
        chain += chain_prior.log_prior(model.transitions, e.transmat_prior)
        return float(statistic[0]) + chain + emission

    def run(
        self, model: ChainModel, on_iteration: Callable[[Sweep], None] | None = None
    ) -> Run[ChainModel]:
        """Baum–Welch from a start; `on_iteration` hears of every iteration."""
        return expectation_maximisation(
            model,
            self.sweep,
            self.maximize,
            tol=self.tol,
            max_iter=self.n_iter,
            rounding=ROUNDING[self.observations.dtype.name],
            on_sweep=on_iteration,
            objective=self.objective,
            finished=(lambda: bool(self.monitor.converged)) if decides(self.monitor) else None,
        )

    def diagnose(self, run: Run[ChainModel]) -> None:
        """Warn of what should be looked at."""
        fallen = falls(run.sweeps, run.rounding)
        if fallen:
            worst = min(fallen, key=lambda sweep: sweep.change)
            warn(
                LikelihoodDecreaseWarning,
                f"The log-likelihood fell at {len(fallen)} of {len(run.sweeps)} iterations, most at "
                f"iteration {worst.iteration} by {-worst.change:.3g}.",
            )
        if self.constant.size:
            names = [column_name(self.observations.rows, int(j)) for j in self.constant[:10]]
            warn(
                ConstantColumnWarning,
                f"Nothing varies in {', '.join(names)}{', …' * (self.constant.size > 10)}: that says "
                "nothing about the states, and may yet decide between them by the variance it is left with. "
                "Drop it.",
            )
        if run.sweeps:
            rows = self.observations.rows
            others = np.setdiff1d(np.arange(rows.n_columns), self.constant).tolist()
            varying = {j: column_name(rows, j) for j in others}
            self.estimator._tell_of_prior(self.prior, run.params.components, self.sums, varying)
            self._tell_of_few(run.params.components)
        if self.unseen.size and run.sweeps:
            warn(
                EmptyComponentWarning,
                f"No transition leads out of state(s) {_numbered(self.unseen)}: never visited, or "
                "only at the end of a sequence."
                + self._rows_of_transmat(~self.by_prior, "keep their last values")
                + self._rows_of_transmat(self.by_prior, "are those of transmat_prior alone"),
            )
        if self.held:
            states = _numbered(np.array(self.held))
            warn(
                DegenerateComponentWarning,
                f"The covariance of state(s) {states} would be singular: too few rows, or columns that are "
                "constant or combinations of others there. It keeps its last value. "
                + self.estimator._remedy,
            )
        if run.sweeps:
            self.estimator._tell_of_states(run.params.components)

    def _tell_of_few(self, components: Any) -> None:
        """Log it where there are more parameters than values, as hmmlearn does."""
        e, rows = self.estimator, self.observations.rows
        free = (e.n_components - 1) * ("s" in e.params)
        free += self.constraints.n_parameters * ("t" in e.params)
        if all(letter in e.params for letter in e._emissions):
            free += e._n_emission_parameters(components)
        values = self.observations.n_rows * rows.n_columns
        if free > values:
            logger.warning(
                "%d free parameters are fitted to %d values: the model says little of other rows. Use fewer "
                "states, fewer parameters for each, or more rows.",
                free, values,
            )  # fmt: skip

    def _rows_of_transmat(self, chosen: NDArray[np.bool_], what: str) -> str:
        """What the rows of chosen states that are never left are."""
        rows = "Their rows" if chosen.all() else f"Rows {_numbered(self.unseen[chosen])}"
        return f" {rows} of transmat_ {what}." if chosen.any() else ""


def _numbered(states: Ints) -> str:
    return ", ".join(map(str, states))
