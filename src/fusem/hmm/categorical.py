"""Hidden Markov models with categorical emissions, a drop-in for hmmlearn's."""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.families import categorical
from fusem.hmm import chain_prior
from fusem.hmm.base import BaseHMM
from fusem.hmm.counts import check_codes, number_of_codes
from fusem.hmm.observations import Observations
from fusem.hmm.prior_values import STATES, concentration

Array = NDArray[np.float64]

family_of = lru_cache(maxsize=16)(categorical.of)


class CategoricalHMM(BaseHMM):
    """Hidden Markov model of symbols: one column of codes 0 … M − 1 with probabilities of the state.

    A drop-in for ``hmmlearn.hmm.CategoricalHMM``. Missing symbols (NaN) are left out.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
    emissionprob_prior : float, array or None, default=1.0
        The same of the rows of `emissionprob_`.
    n_features : int, optional
        Number of symbols M; by default the largest of the data, and 1. `fit` leaves it as it is, None too:
        the number is ``emissionprob_.shape[1]``.
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
    emissionprob_ : ndarray of shape (n_components, n_symbols)
        Probabilities of the symbols.
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import CategoricalHMM
    >>> symbols = np.array([0, 0, 1, 0, 0, 2, 2, 1, 2, 2, 2, 0, 0, 0])[:, None]
    >>> model = CategoricalHMM(2, random_state=1, n_iter=200, tol=1e-6).fit(symbols)
    >>> model.emissionprob_.shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._chain_constraints,
        "n_features": [None, Interval(Integral, 1, None, closed="left")],
    }
    _emissions: ClassVar[dict[str, str]] = {"e": "emissionprob_"}
    _drawn: ClassVar[type] = np.int64

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        n_features: int | None = None,
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
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features
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

    def _family_of(self, components: categorical.Params) -> categorical.Categorical:
        return family_of(int(components.probabilities.shape[2]))

    def _emission(self) -> categorical.Params:
        K, shape = self.n_components, np.shape(self.emissionprob_)
        symbols = self.n_features or (shape[1] if len(shape) == 2 else 1)
        given = chain_prior.check_probabilities(
            "emissionprob_", self.emissionprob_, (K, symbols), "n_features"
        )
        return categorical.Params(given[:, None, :])

    def _set_emission(self, components: categorical.Params) -> None:
        self.emissionprob_ = components.probabilities[:, 0]

    def _check_values(
        self, observations: Observations, components: categorical.Params, workers: Workers
    ) -> bool:
        if observations.n_columns != 1:
            raise ValueError(
                f"X has {observations.n_columns} columns: symbols are one column of codes. Use "
                "MultinomialHMM for counts of symbols."
            )
        return check_codes(observations, components.probabilities.shape[2], workers)

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> categorical.Params:
        if "e" not in self.init_params:
            return self._emission()
        symbols = self.n_features
        if symbols is None:
            symbols = number_of_codes(observations, self.n_components, workers)
        shares = rng.random_sample((self.n_components, symbols))
        return categorical.Params((shares / shares.sum(axis=1, keepdims=True))[:, None, :])

    def _prior(self, components: categorical.Params) -> Array | None:
        """Parameters of the prior, checked and broadcast to (K, 1, M)."""
        K, _, symbols = components.probabilities.shape
        axes = (*STATES, "n_symbols")
        given = concentration("emissionprob_prior", self.emissionprob_prior, (K, symbols), axes)
        return None if given is None else given[:, None]

    def _renew_emission(
        self, components: categorical.Params, sums: Array, prior: Array | None
    ) -> tuple[categorical.Params, list[int]]:
        if "e" not in self.params:
            return components, []
        codes = self._family_of(components).stats_of(sums, self.n_components, 1).codes
        return categorical.Params(chain_prior.renewed(components.probabilities, codes, prior)), []

    def _log_prior(self, components: categorical.Params, prior: Array | None) -> float:
        return chain_prior.log_prior(components.probabilities, prior)

    def _n_columns(self, components: categorical.Params) -> int:
        return 1

    def _n_emission_parameters(self, components: categorical.Params) -> int:
        K, _, symbols = components.probabilities.shape
        return int(K * (symbols - 1))
