"""What every hidden Markov model does, whatever its emissions: fit, and the parameters of the chain."""

from __future__ import annotations

import logging
import os
import string
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fusem.em.history import Sweep, as_array
from fusem.em.loop import Run
from fusem.em.summary import Summary, summarise
from fusem.em.workers import Workers
from fusem.exceptions import warn
from fusem.hmm import chain_prior
from fusem.hmm.criteria import Criteria
from fusem.hmm.decoding import positional
from fusem.hmm.engine import ChainModel
from fusem.hmm.filtering import Filtering
from fusem.hmm.fitting import Fit
from fusem.hmm.forecast import Forecasting
from fusem.hmm.known_states import check_possible, check_states
from fusem.hmm.margin import Margins
from fusem.hmm.missing import check_missing
from fusem.hmm.monitor import ConvergenceMonitor as ConvergenceMonitor
from fusem.hmm.monitor import NewMonitor, decides
from fusem.hmm.observations import Observations
from fusem.hmm.path_sampling import PathSampling
from fusem.hmm.prior_values import MOVES, STATES, concentration
from fusem.hmm.save import save, stored
from fusem.hmm.starts import Report, best_of, seeds_of
from fusem.hmm.transitions import Constraints, constraints_of, in_order
from fusem.mixture.source import ONE_DIMENSION, column_names, rows_to_use

Array = NDArray[np.float64]
logger = logging.getLogger("fusem")
SAME_AT_EVERY_START = set("cw")  # letters of init_params: covariances, weights of Gaussians
CHAIN = {"s": "startprob_", "t": "transmat_"}


class BaseHMM(Criteria, Filtering, PathSampling, Margins, Forecasting, BaseEstimator):
    """Hidden Markov model with K states and emissions of one family, fitted by Baum–Welch."""

    n_components: int
    startprob_prior: Any
    transmat_prior: Any
    algorithm: str
    random_state: Any
    n_iter: int
    tol: float
    verbose: bool
    params: str
    init_params: str
    n_jobs: int | None
    transmat_mask: Any
    transmat_fixed: Any
    n_init: int

    monitor_: Any = NewMonitor()  # before a fit; hmmlearn's users take `tol` and so on from it
    _remedy: ClassVar[str] = ""  # where a covariance becomes singular
    # letters of `params` and `init_params` to the attributes of the emissions
    _emissions: ClassVar[dict[str, str]]
    _chain_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions({"viterbi", "map"})],
        "random_state": ["random_state"],
        "n_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Real],
        "verbose": ["verbose"],
        "params": [str],
        "init_params": [str],
        "implementation": [StrOptions({"log", "scaling"})],
        "n_jobs": [None, Integral],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    # ---- what an emission family adds ----

    @abstractmethod
    def _family_of(self, components: Any) -> Any:
        """The family of the emissions: one of `fusem.families`, or an object with the same attributes."""

    @abstractmethod
    def _emission(self) -> Any:
        """The family's parameters from the attributes, checked."""

    @abstractmethod
    def _set_emission(self, components: Any) -> None:
        """Attributes from the family's parameters."""

    @abstractmethod
    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> Any:
        """Parameters to begin with, for the letters of `init_params`; the others from the attributes."""

    @abstractmethod
    def _renew_emission(self, components: Any, sums: Array, prior: Any) -> tuple[Any, list[int]]:
        """The M-step of the emissions, for the letters of `params`; states that keep some of theirs."""

    def _prior(self, components: Any) -> Any:
        """The emissions' prior, its parameters checked; None where there is none."""
        return None

    def _log_prior(self, components: Any, prior: Any) -> float:
        """Log-density of the emissions' prior, but for a constant."""
        return 0.0

    def _tell_of_prior(
        self, prior: Any, components: Any, sums: Array, names: dict[int, str]
    ) -> None:
        """Warn of a prior that is not small against states with these sums, in columns of these names."""

    def _tell_of_states(self, components: Any) -> None:
        """Warn of fitted states that should be looked at."""

    def _check_values(
        self, observations: Observations, components: Any, workers: Workers
    ) -> bool | None:
        """Raise where the emissions cannot have made a value; whether any is missing, if looked for."""
        return None

    def _check_priors(self) -> None:
        """Raise where the parameters of the chain's priors are none."""
        K = self.n_components
        concentration("startprob_prior", self.startprob_prior, (K,), STATES)
        concentration("transmat_prior", self.transmat_prior, (K, K), MOVES)

    # ---- fitting ----

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        sequence_weight: Any = None,
        states: Any = None,
    ) -> Any:
        """Estimate the model by expectation-maximisation (Baum–Welch).

        If `fit` fails or is interrupted, the estimator stays as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other; of a list of 2-D arrays each is a sequence.
        y : array-like of int, optional
            Ignored if it is a label for each row. Whatever else it is, and an integer 1 for each row, stands
            for `lengths`, so that ``fit(X, lengths)`` works too.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence. One sequence without.
        sequence_weight : array-like of shape (n_sequences,), optional
            Weights ≥ 0; a sequence of weight 2 counts as two equal ones.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not. Estimates and start are given them: means begin with those of
            the rows whose state is known.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            Lengths that do not fit the rows, infinity, impossible sequences, known states that the chain
            cannot go through, states whose covariance is singular, priors that are none.
        """
        lengths = positional(y, lengths, X)
        if y is not None and lengths is None and getattr(X, "ndim", 2) == 1:
            raise ValueError(f"{ONE_DIMENSION} (Without y a 1-D array is taken as one column.)")
        return self._fit(X, lengths, sequence_weight, states)

    def _fit(
        self,
        X: Any,
        lengths: Any,
        sequence_weight: Any = None,
        states: Any = None,
        on_iteration: Callable[[Sweep], None] | None = None,
    ) -> Any:
        self._validate_params()
        self._check_letters()
        observations = Observations(X, lengths)
        weights = check_sequence_weights(sequence_weight, observations)
        names = column_names(X, observations.rows)
        observations.states = check_states(states, observations.n_rows, self.n_components)
        workers = Workers(self.n_jobs)
        summary = summarise(observations.rows, None, workers)
        self._tell_overwritten()

        def fit_from(rng: np.random.RandomState, report: Report) -> tuple[Fit, Run[ChainModel]]:
            start = self._start(observations, summary, workers, rng)
            self._check_priors()
            prior = self._prior(start.components)
            check_possible(observations.states, observations, start)
            family = self._family_of(start.components)
            check_missing(summary.missing is not None, family)
            self._check_values(observations, start.components, workers)
            fit = Fit(self, family, prior, observations, weights, summary, workers)
            return fit, fit.run(start, report)

        drawn = set(self.init_params) - SAME_AT_EVERY_START
        seeds = seeds_of(self.random_state, self.n_init if drawn else 1)
        fit, run = best_of(seeds, fit_from, on_iteration)
        self._keep(run, fit, observations, names)
        return self

    def _check_letters(self) -> None:
        known = {**CHAIN, **self._emissions}
        for name in ("params", "init_params"):
            given = getattr(self, name)
            unknown = sorted(set(given) - set(known))
            # the whole alphabet is how hmmlearn's base class says "everything"
            if unknown and not set(given) >= set(string.ascii_letters):
                letters = ", ".join(f"{letter!r} ({what})" for letter, what in known.items())
                raise ValueError(
                    f"{name}={given!r} has {', '.join(map(repr, unknown))}, which {type(self).__name__} does "
                    f"not know. Its letters are {letters}."
                )

    def _constraints(self) -> Constraints:
        """What is not to be estimated of the transitions."""
        return constraints_of(self.transmat_mask, self.transmat_fixed, self.n_components)

    def _tell_overwritten(self) -> None:
        for letter, name in {**CHAIN, **self._emissions}.items():
            if letter in self.init_params and hasattr(self, name):
                logger.warning(
                    "Even though the %r attribute is set, it will be overwritten during initialization "
                    "because 'init_params' contains %r",
                    name,
                    letter,
                )

    def _start(
        self,
        observations: Observations,
        summary: Summary,
        workers: Workers,
        rng: np.random.RandomState,
    ) -> ChainModel:
        K, constraints = self.n_components, self._constraints()
        some_known = observations.states is not None
        if "s" in self.init_params:
            start = rng.dirichlet(np.full(K, 1.0 / K))
            if constraints.forward_only:
                start = in_order(start)
            start = 0.5 * (start + 1.0 / K) if some_known else start
        else:
            start = self._given("startprob_", (K,))
        if "t" in self.init_params:
            drawn = rng.dirichlet(np.full(K, 1.0 / K), size=K)
            transitions = constraints.begun(drawn, mixed=some_known)
        else:
            transitions = constraints.with_fixed(self._given("transmat_", (K, K)))
            constraints.check(transitions)
        for letter, name in self._emissions.items():
            if letter not in self.init_params and not hasattr(self, stored(self)[name]):
                raise ValueError(
                    f"init_params={self.init_params!r} leaves {name} as they are, but they are not set: "
                    f"assign {name} or add {letter!r} to init_params."
                )
        components = self._start_emission(observations, summary, rng, workers)
        return ChainModel(start, transitions, components)

    def _given(self, name: str, shape: tuple[int, ...]) -> Array:
        if not hasattr(self, name):
            letter = next(key for key, value in CHAIN.items() if value == name)
            raise ValueError(
                f"init_params={self.init_params!r} leaves {name} as it is, but it is not set: assign it or "
                f"add {letter!r} to init_params."
            )
        return chain_prior.check_probabilities(name, getattr(self, name), shape)

    def _keep(self, run: Run[ChainModel], fit: Fit, observations: Observations, names: Any) -> None:
        if run.sweeps and not run.converged and fit.n_iter > 1 and fit.tol > 0:
            warn(
                ConvergenceWarning,
                f"EM did not converge in n_iter={fit.n_iter} iterations: the log-likelihood still "
                f"changed by {run.sweeps[-1].change:.3g} (tol={fit.tol:g}).",
            )
        fit.diagnose(run)
        model = run.params
        self.startprob_, self.transmat_ = model.start, model.transitions
        self._set_emission(model.components)
        self.n_features_in_ = observations.n_columns
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.monitor_, self.n_iter_ = fit.monitor, len(run.sweeps)
        self.converged_ = run.converged
        if not decides(self.monitor_):
            self.monitor_.converged = run.converged
        self.history_ = as_array(run.sweeps)

    # ---- a model from the attributes ----

    def _model(self) -> ChainModel:
        K = self.n_components
        start = chain_prior.check_probabilities("startprob_", self.startprob_, (K,))
        moves = chain_prior.check_probabilities("transmat_", self.transmat_, (K, K))
        return ChainModel(start, moves, self._emission())

    def _observe(self, X: Any, lengths: Any, d: int) -> Observations:
        return Observations(X, lengths, lambda X: rows_to_use(self, X, d))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file that `fusem.load` reads; no pickle is involved.

        Parameters
        ----------
        path : str or path-like
            Where to; ``.npz`` is the usual suffix. An existing file is replaced at once or not at all.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model has no parameters yet, neither fitted nor assigned.
        """
        save(self, path)

    def _component_arrays(self) -> dict[str, Array]:
        """Parameters of the emissions for a file, where no attributes of their own hold them."""
        return {}

    def _set_component_arrays(self, arrays: dict[str, Array]) -> None:
        """The same back from a file, checked."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        # of scikit-learn's words for what an estimator takes, the two that make whole numbers ≥ 0
        tags.input_tags.categorical = tags.input_tags.positive_only = self._drawn is np.int64
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        held = vars(self).keys() >= set(stored(self).values())
        names = *CHAIN.values(), *self._emissions.values()  # of a subclass they may be properties
        return held or all(hasattr(self, name) for name in names)

    def get_stationary_distribution(self) -> Array:
        """Probabilities of the states in the long run.

        Returns
        -------
        probabilities : ndarray of shape (n_components,)
            The left eigenvector of `transmat_` to eigenvalue 1, as a distribution; of several, one.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If there is no `transmat_` yet; it is all that is needed.
        """
        check_is_fitted(self, "transmat_")
        K = self.n_components
        moves = chain_prior.check_probabilities("transmat_", self.transmat_, (K, K))
        equations = np.vstack([moves.T - np.eye(K), np.ones(K)])
        solution = np.linalg.lstsq(equations, np.append(np.zeros(K), 1.0), rcond=None)[0]
        solution = np.maximum(solution, 0.0)
        return np.asarray(solution / solution.sum())


def check_sequence_weights(weights: Any, observations: Observations) -> Array:
    """One weight per sequence, 1 where none were given."""
    n = len(observations.lengths)
    if weights is None:
        return np.ones(n)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (n,):
        raise ValueError(
            f"sequence_weight must have one weight per sequence, shape ({n},), not {given.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= 0.0)))
    if wrong.size:
        raise ValueError(
            f"sequence_weight[{wrong[0]}] is {given[wrong[0]]:g}: weights must be finite and not negative."
        )
    if not given.any():
        raise ValueError("sequence_weight is 0 for every sequence: at least one must be positive.")
    return given
