"""Hidden Markov models with multinomial emissions, a drop-in for hmmlearn's."""

from __future__ import annotations

import logging
from numbers import Integral
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusem.em.summary import Summary
from fusem.em.workers import ALONE, Workers
from fusem.families import multinomial
from fusem.hmm import chain_prior
from fusem.hmm.base import BaseHMM
from fusem.hmm.counts import check_counts
from fusem.hmm.n_features import ColumnCount
from fusem.hmm.observations import Observations

Array = NDArray[np.float64]
logger = logging.getLogger("fusem")


class MultinomialHMM(ColumnCount, BaseHMM):
    """Hidden Markov model of counts of symbols: every row distributes its total over the columns.

    A drop-in for ``hmmlearn.hmm.MultinomialHMM``. A row may be missing, NaN in all columns; in some of them
    it is an error, since the total is not known then.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    n_trials : int, array-like or None, default=None
        Total of the rows that `sample` draws, None means 1. If it is a number, rows of another total are an
        error, else they may have any.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
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
    params, init_params : str, default="ste"
        What is estimated, and what is set by the start: s(tartprob), t(ransmat), e(missionprob).
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
    emissionprob_ : ndarray of shape (n_components, n_features)
        Probabilities of the symbols.
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import MultinomialHMM
    >>> rows = np.array([[5, 0, 1], [4, 1, 1], [0, 3, 3], [1, 2, 3], [6, 0, 0]])
    >>> MultinomialHMM(2, random_state=0, n_iter=200).fit(rows).emissionprob_.shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**BaseHMM._chain_constraints}
    _emissions: ClassVar[dict[str, str]] = {"e": "emissionprob_"}
    _drawn: ClassVar[type] = np.int64

    def __init__(
        self,
        n_components: int = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
        n_jobs: int | None = -1,
        transmat_mask: Any = None,
        transmat_fixed: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.n_trials = n_trials
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False  # it says that any value may be missing
        return tags

    def _family_of(self, components: multinomial.Params) -> ModuleType:
        return multinomial

    def _emission(self) -> multinomial.Params:
        K, shape = self.n_components, np.shape(self.emissionprob_)
        expected = (K, shape[1] if len(shape) == 2 else 0)
        given = chain_prior.check_probabilities(
            "emissionprob_", self.emissionprob_, expected, "n_features"
        )
        return multinomial.Params(given)

    def _set_emission(self, components: multinomial.Params) -> None:
        self.emissionprob_ = components.probabilities

    def _check_values(
        self, observations: Observations, components: multinomial.Params, workers: Workers
    ) -> bool:
        if isinstance(self.n_trials, Integral):
            self._check_totals(observations, int(self.n_trials))
        return check_counts(observations, workers, one_by_one=False)

    def _check_totals(self, observations: Observations, n_trials: int) -> None:
        def work(first: int, part: NDArray[Any]) -> None:
            totals = part.sum(axis=1)
            other = np.flatnonzero((totals != n_trials) & ~np.isnan(totals))
            if other.size:
                raise ValueError(
                    f"The counts of row {first + other[0]} sum to {totals[other[0]]:g}, but n_trials is "
                    f"{n_trials}. Leave n_trials out for rows of any totals."
                )

        observations.look_at(work, ALONE)

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> multinomial.Params:
        if observations.n_columns == 1:
            logger.warning(
                "X has one column: a single count is of one category in every state, which tells nothing of "
                "them. Codes of categories are for CategoricalHMM."
            )
        if "e" not in self.init_params:
            return self._emission()
        mean = np.maximum(summary.means, 1e-3 * max(summary.means.max(), 1.0))
        shares = mean * rng.uniform(0.5, 1.5, size=(self.n_components, observations.n_columns))
        return multinomial.Params(shares / shares.sum(axis=1, keepdims=True))

    def _renew_emission(
        self, components: multinomial.Params, sums: Array, prior: None
    ) -> tuple[multinomial.Params, list[int]]:
        return multinomial.maximize(components, sums) if "e" in self.params else components, []

    def _n_columns(self, components: multinomial.Params) -> int:
        return int(components.probabilities.shape[1])

    def _n_emission_parameters(self, components: multinomial.Params) -> int:
        K, d = components.probabilities.shape
        return int(K * (d - 1))

    def _draw(self, components: Any, k: int, n: int, rng: np.random.RandomState) -> Array:
        return multinomial.sample(components, k, n, rng, self._trials)

    def _moments(self, components: multinomial.Params) -> tuple[Array, Array]:
        return multinomial.moments(components, self._trials)

    @property
    def _trials(self) -> int:
        return 1 if self.n_trials is None else int(np.max(self.n_trials))
