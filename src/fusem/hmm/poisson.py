"""Hidden Markov models with Poisson emissions, a drop-in for hmmlearn's."""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.families import poisson
from fusem.hmm.base import BaseHMM
from fusem.hmm.counts import check_counts
from fusem.hmm.n_features import ColumnCount
from fusem.hmm.observations import Observations, start_rows
from fusem.hmm.prior_values import STATES, check_finite, prior_values
from fusem.hmm.start_means import start_means

Array = NDArray[np.float64]


class PoissonHMM(ColumnCount, BaseHMM):
    """Hidden Markov model of counts: independent Poisson columns with rates of the state.

    A drop-in for ``hmmlearn.hmm.PoissonHMM``. Missing counts (NaN) are left out.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
    lambdas_prior, lambdas_weight : float, array or None, default=0.0
        Counts added to those of every state, and rows added to theirs: a gamma prior of the rates. None is 0.
    algorithm : {"viterbi", "map"}, default="viterbi"
        What `predict` finds.
    random_state : int, RandomState or None, default=None
        Seeds the start, and `sample`.
    n_iter : int, default=10
        Most EM iterations.
    tol : float, default=1e-2
        EM stops when the log-likelihood (with priors: the log-posterior) of all rows changes by less.
    verbose : bool, default=False
        Print iterations to stderr.
    params, init_params : str, default="stl"
        What is estimated, and what is set by the start: s(tartprob), t(ransmat), l(ambdas).
    implementation : {"log", "scaling"}, default="log"
        Accepted and ignored: both are computed in linear space, and in logarithms where that is not exact.
    n_jobs : int or None, default=-1
        Threads; −1 is all cores, None is one. The result does not depend on it, not even in the last bit.
    transmat_mask : {"left-right", "bakis", "upper"} or array of bool (n_components, n_components), optional
        Transitions that are allowed (True); the others are 0 from the start on and stay it. From a state
        "left-right" allows itself and the next, "bakis" also the one after, "upper" itself and all later
        ones. The last state is not left.
    transmat_fixed : array of shape (n_components, n_components), optional
        Rows of `transmat_` that are given and not estimated; NaN in the other rows.
    n_init : int, default=1
        Number of starts; that which ends highest is kept. One where nothing in `init_params` is drawn.

    Attributes
    ----------
    startprob_ : ndarray of shape (n_components,)
        Probabilities of the first state.
    transmat_ : ndarray of shape (n_components, n_components)
        Probabilities of the next state (columns) given the state (rows).
    lambdas_ : ndarray of shape (n_components, n_features)
        Rates: mean counts.
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import PoissonHMM
    >>> quakes = np.array([13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18])[:, None]
    >>> model = PoissonHMM(2, random_state=0, n_iter=100).fit(quakes)
    >>> model.predict(quakes)
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**BaseHMM._chain_constraints}
    _emissions: ClassVar[dict[str, str]] = {"l": "lambdas_"}
    _drawn: ClassVar[type] = np.int64

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
        n_jobs: int | None = -1,
        transmat_mask: Any = None,
        transmat_fixed: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.n_jobs = n_jobs
        self.transmat_mask = transmat_mask
        self.transmat_fixed = transmat_fixed
        self.n_init = n_init

    def _family_of(self, components: poisson.Params) -> ModuleType:
        return poisson

    def _emission(self) -> poisson.Params:
        rates = np.asarray(self.lambdas_, dtype=np.float64)
        if rates.ndim != 2 or len(rates) != self.n_components:
            raise ValueError(
                f"lambdas_ must hold rates ≥ 0 of shape (n_components, n_features) = "
                f"({self.n_components}, d), not {rates.shape}."
            )
        check_finite("lambdas_", rates, 0.0)
        return poisson.Params(rates)

    def _set_emission(self, components: poisson.Params) -> None:
        self.lambdas_ = components.rates

    def _check_values(
        self, observations: Observations, components: poisson.Params, workers: Workers
    ) -> bool:
        return check_counts(observations, workers)

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> poisson.Params:
        if "l" not in self.init_params:
            return self._emission()
        rows, K = np.maximum(start_rows(observations), 0.0), self.n_components
        mean = rows.mean(axis=0)
        if len(np.unique(rows, axis=0)) < K:  # fewer clusters than states: rates around the mean
            return poisson.Params(mean * rng.uniform(0.5, 1.5, size=(K, len(mean))))
        centres = start_means(observations, K, rng, self._constraints().forward_only)
        # one row of the mean more: a rate that starts at 0 stays there
        return poisson.Params(0.99 * np.maximum(centres, 0.0) + 0.01 * mean)

    def _prior(self, components: poisson.Params) -> tuple[Array, Array]:
        """Counts and rows that are added, checked and broadcast to (K, d)."""
        shape, axes = components.rates.shape, (*STATES, "n_features")
        counts, rows = (
            prior_values(name, 0.0 if value is None else value, shape, axes, 0.0)
            for name, value in (
                ("lambdas_prior", self.lambdas_prior),
                ("lambdas_weight", self.lambdas_weight),
            )
        )
        return counts, rows

    def _renew_emission(
        self, components: poisson.Params, sums: Array, prior: tuple[Array, Array]
    ) -> tuple[poisson.Params, list[int]]:
        if "l" not in self.params:
            return components, []
        stats = poisson.stats_of(sums, *components.rates.shape)
        counts, weight = prior
        total, rows = stats.sums + counts, stats.observed + weight
        seen = rows > 0.0
        rates = np.where(seen, total / np.where(seen, rows, 1.0), components.rates)
        return poisson.Params(rates), []

    def _log_prior(self, components: poisson.Params, prior: tuple[Array, Array]) -> float:
        rates, (counts, weight) = components.rates, prior
        some = counts > 0.0
        with np.errstate(divide="ignore"):
            value = (counts[some] * np.log(rates[some])).sum()
        return float(value - (weight * rates).sum())

    def _n_columns(self, components: poisson.Params) -> int:
        return int(components.rates.shape[1])

    def _n_emission_parameters(self, components: poisson.Params) -> int:
        return int(components.rates.size)
