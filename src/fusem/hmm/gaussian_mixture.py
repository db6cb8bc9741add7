"""Hidden Markov models whose states are mixtures of Gaussians, a drop-in for hmmlearn's."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from fusem.em.blas import one_thread
from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.families import state_mixture
from fusem.families.gaussian import SingularComponents
from fusem.families.registry import FAMILIES
from fusem.hmm import chain_prior
from fusem.hmm.assigned import check_assigned, wanted
from fusem.hmm.base import BaseHMM
from fusem.hmm.gaussian_mixture_prior import PartsPrior, log_prior, prior_of, renewed
from fusem.hmm.held import with_held
from fusem.hmm.observations import Observations, start_rows
from fusem.hmm.prior_values import STATES, check_finite, concentration
from fusem.hmm.start_means import covariance_of, means_of_clusters, nearest_mean, start_means

Array = NDArray[np.float64]
REMEDY = (
    "Set covars_prior and covars_weight, use fewer Gaussians or states, or another covariance_type."
)


class GMMHMM(BaseHMM):
    """Hidden Markov model whose states are mixtures of Gaussians, fitted by Baum–Welch.

    A drop-in for ``hmmlearn.hmm.GMMHMM``, with two differences in its results: covariances are taken about
    the means of the same step (hmmlearn: about those of the step before), and without a prior a spherical
    variance is that of maximum likelihood for any `n_mix`. Where means are not estimated, or covariances
    not, steps are the same. Missing values (NaN) are summed over: what a row has counts.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    n_mix : int, default=1
        Number of Gaussians M of every state.
    min_covar : float, default=1e-3
        Added to the variances of a start.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
    weights_prior : float, array or None, default=1.0
        The same of the rows of `weights_`.
    means_prior, means_weight : float, array or None, default=0.0
        Mean of the normal prior of the means, and how many rows it counts as.
    covars_prior, covars_weight : float, array or None, default=None
        Of variances ("diag", "spherical") shape and scale of an inverse gamma distribution, of matrices scale
        and degrees of freedom of an inverse Wishart distribution. None is maximum likelihood.
    algorithm : {"viterbi", "map"}, default="viterbi"
        What `predict` finds.
    covariance_type : {"diag", "full", "tied", "spherical"}, default="diag"
        A variance per column and Gaussian, a covariance matrix each, one for all Gaussians of a state, or one
        variance each.
    random_state : int, RandomState or None, default=None
        Seeds the start, and `sample`.
    n_iter : int, default=10
        Most EM iterations.
    tol : float, default=1e-2
        EM stops when the log-likelihood (with priors: the log-posterior) of all rows changes by less.
    verbose : bool, default=False
        Print iterations to stderr.
    params, init_params : str, default="stmcw"
        What is estimated, and what is set by the start: s(tartprob), t(ransmat), m(eans), c(ovars),
        w(eights).
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
    weights_ : ndarray of shape (n_components, n_mix)
        Weights of the Gaussians of every state.
    means_ : ndarray of shape (n_components, n_mix, n_features)
        Means, in units of the data.
    covars_ : ndarray
        (K, M, d) if diag, (K, M, d, d) if full, (K, d, d) if tied, (K, M) if spherical.
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import GMMHMM
    >>> rng = np.random.default_rng(0)
    >>> states = np.repeat([0, 1, 0, 1], 100)
    >>> X = np.where(states == 0, 9.0, 3.0) * rng.choice([-1, 1], 400) + rng.normal(size=400)
    >>> model = GMMHMM(2, n_mix=2, random_state=0, n_iter=50)
    >>> model.fit(X[:, None], states=np.where(np.arange(400) < 120, states, -1)).means_.shape
    (2, 2, 1)
    >>> np.sort(model.means_[..., 0]).round().tolist()
    [[-9.0, 9.0], [-3.0, 3.0]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._chain_constraints,
        "n_mix": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "min_covar": [Interval(Real, 0.0, None, closed="left")],
    }
    _emissions: ClassVar[dict[str, str]] = {"m": "means_", "c": "covars_", "w": "weights_"}
    _remedy: ClassVar[str] = REMEDY

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
        implementation: str = "log",
        n_jobs: int | None = -1,
        transmat_mask: Any = None,
        transmat_fixed: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.n_mix = n_mix
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.algorithm = algorithm
        self.covariance_type = covariance_type
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

    @property
    def n_features(self) -> int:
        """Number of columns, by hmmlearn's name."""
        return self._n_columns(self._emission())

    def _family_of(self, components: Any) -> state_mixture.StateMixture:
        # the matrix of a tied state stands once for every part: the M-step makes them equal
        base = "full" if self.covariance_type == "tied" else self.covariance_type
        return state_mixture.of(FAMILIES[f"gaussian_{base}"], self.n_mix)

    def _emission(self) -> state_mixture.Params:
        return self._checked(self.weights_, self.means_, self.covars_, assigned=True)

    def _checked(
        self, weights: Any, means: Any, covariances: Any, assigned: bool
    ) -> state_mixture.Params:
        K, M = self.n_components, self.n_mix
        means = np.asarray(means, dtype=np.float64)
        if means.ndim != 3 or means.shape[:2] != (K, M):
            raise ValueError(
                f"means_ must have shape (n_components, n_mix, n_features) = ({K}, {M}, d), not "
                f"{means.shape}."
            )
        given = np.asarray(weights, dtype=np.float64)
        if given.shape != (K, M):
            raise ValueError(
                f"weights_ must have shape (n_components, n_mix) = ({K}, {M}), not {given.shape}."
            )
        given = chain_prior.check_probabilities("weights_", given, (K, M))
        covariances = np.asarray(covariances, dtype=np.float64)
        return self._components(given, means, covariances, assigned)

    def _components(
        self, weights: Array, means: Array, covariances: Array, assigned: bool
    ) -> state_mixture.Params:
        K, M, d = means.shape
        sizes = {"full": (K, M, d, d), "tied": (K, d, d), "diag": (K, M, d), "spherical": (K, M)}
        expected = sizes[self.covariance_type]
        if covariances.shape != expected:
            raise ValueError(
                f"covars_ must have shape {expected} for covariance_type={self.covariance_type!r} with "
                f"{M} Gaussians per state and {d} columns, not {covariances.shape}."
            )
        check_finite("means_", means)
        if assigned:
            check_assigned(covariances, self.covariance_type)
        if self.covariance_type == "tied":
            covariances = np.repeat(covariances[:, None], M, axis=1)
        flat = covariances.reshape(K * M, *covariances.shape[2:])
        base = self._family_of(None).base
        try:
            with one_thread(covariances.size):
                parts = base.from_covariances(means.reshape(K * M, d), flat)
        except SingularComponents as problem:
            which = ", ".join(f"{p % M} of state {p // M}" for p in problem.components)
            if assigned:
                raise ValueError(
                    f"covars_ of Gaussian {which} is not positive definite: "
                    f"{wanted(self.covariance_type)}."
                ) from problem
            raise ValueError(
                f"The covariance of Gaussian {which} is not positive definite: too few rows, or columns that "
                f"are constant or combinations of others there. {REMEDY}"
            ) from problem
        return state_mixture.Params(weights, parts)

    def _set_emission(self, components: state_mixture.Params) -> None:
        self.weights_ = components.weights
        self.means_, covariances = self._unflattened(components)
        self.covars_ = covariances[:, 0] if self.covariance_type == "tied" else covariances

    def _unflattened(self, components: state_mixture.Params) -> tuple[Array, Array]:
        K, M = components.weights.shape
        means, covariances = components.parts.means, components.parts.covariances
        return (
            means.reshape(K, M, means.shape[1]),
            covariances.reshape(K, M, *covariances.shape[1:]),
        )

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> state_mixture.Params:
        K, M, d = self.n_components, self.n_mix, observations.n_columns
        if "m" in self.init_params and observations.n_rows < K * M:
            raise ValueError(
                f"n_samples = {observations.n_rows} rows are fewer than n_components · n_mix = {K * M} "
                "Gaussians."
            )
        if "c" in self.init_params and observations.n_rows == 1:
            raise ValueError(
                "n_samples = 1: one row has no variance to start with. Give two rows or more, or set "
                "covars_ and leave 'c' out of init_params."
            )
        rows = start_rows(observations) if set("mc") & set(self.init_params) else np.empty((0, d))
        weights = np.full((K, M), 1.0 / M) if "w" in self.init_params else self.weights_
        if "m" in self.init_params:
            states = start_means(observations, K, rng, self._constraints().forward_only)
            means = means_of_parts(rows, states, M, rng)
        else:
            means = self.means_
        if "c" in self.init_params:
            together = covariance_of(rows) + self.min_covar * np.eye(d)
            variances = np.diag(together)
            covariances: Any = {
                "full": np.broadcast_to(together, (K, M, d, d)),
                "tied": np.broadcast_to(together, (K, d, d)),
                "diag": np.broadcast_to(variances, (K, M, d)),
                "spherical": np.full((K, M), variances.mean()),
            }[self.covariance_type]
        else:
            covariances = self.covars_
        return self._checked(weights, means, covariances, assigned="c" not in self.init_params)

    def _prior(self, components: state_mixture.Params) -> PartsPrior:
        shape = components.weights.shape
        concentration("weights_prior", self.weights_prior, shape, (*STATES, "n_mix"))
        given = self.means_prior, self.means_weight, self.covars_prior, self.covars_weight
        return prior_of(self.covariance_type, (*shape, self._n_columns(components)), *given)

    def _renew_emission(
        self, components: state_mixture.Params, sums: Array, prior: PartsPrior
    ) -> tuple[state_mixture.Params, list[int]]:
        chosen = "m" in self.params, "c" in self.params
        counts, means, covariances = renewed(
            self._family_of(components), self.covariance_type, components, sums, prior, *chosen,
        )  # fmt: skip
        weights = components.weights
        if "w" in self.params:
            weights = chain_prior.renewed(weights, counts, self.weights_prior)
        K, M, d = means.shape
        if self.covariance_type == "tied":
            covariances = np.repeat(covariances[:, None], M, axis=1)
        before = components.parts.covariances
        given = means.reshape(K * M, d), covariances.reshape(before.shape), before
        parts, held = with_held(self._family_of(components).base, *given)
        return state_mixture.Params(weights, parts), sorted({part // M for part in held})

    def _log_prior(self, components: state_mixture.Params, prior: PartsPrior) -> float:
        given = self._family_of(components), self.covariance_type, components
        value = chain_prior.log_prior(components.weights, self.weights_prior)
        return value + log_prior(*given, prior)

    def _n_columns(self, components: state_mixture.Params) -> int:
        return int(components.parts.means.shape[1])

    def _n_emission_parameters(self, components: state_mixture.Params) -> int:
        K, M, d = self.n_components, self.n_mix, self._n_columns(components)
        matrix = d * (d + 1) // 2
        sizes = {"full": K * M * matrix, "tied": K * matrix, "diag": K * M * d, "spherical": K * M}
        return K * M * d + K * (M - 1) + sizes[self.covariance_type]


def means_of_parts(rows: Array, states: Array, n_parts: int, rng: np.random.RandomState) -> Array:
    """Means (K, M, d) to begin with: of clusters within the rows nearest to every state's mean.

    Where a state has hardly any rows its parts lie around its mean.
    """
    means = np.empty((len(states), n_parts, rows.shape[1]))
    nearest = nearest_mean(rows, states)
    for k, mean in enumerate(states):
        own = rows[nearest == k]
        if n_parts == 1:
            means[k] = mean
        elif len(np.unique(own, axis=0)) >= n_parts:
            means[k] = means_of_clusters(own, n_parts, rng)
        else:
            means[k] = mean + rows.std(axis=0) * rng.standard_normal((n_parts, len(mean)))
    return means
