"""Hidden Markov models with Gaussian emissions, a drop-in for hmmlearn's."""

from __future__ import annotations

from numbers import Real
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

from fusem.em.blas import one_thread
from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.exceptions import DegenerateComponentWarning, RegularizationWarning, warn
from fusem.families.gaussian import SingularComponents, diagonals, known
from fusem.families.registry import FAMILIES
from fusem.hmm.assigned import assigned, check_assigned, wanted
from fusem.hmm.base import BaseHMM
from fusem.hmm.gaussian_prior import Prior, log_prior, renewed
from fusem.hmm.held import singular, with_held
from fusem.hmm.n_features import ColumnCount
from fusem.hmm.observations import Observations, start_rows
from fusem.hmm.prior_values import (
    STATES,
    check_finite,
    mean_and_weight,
    prior_matrices,
    prior_values,
)
from fusem.hmm.start_means import covariance_of, start_means

Array = NDArray[np.float64]
COVARS_PRIOR = 1e-2  # that of hmmlearn
INFLUENTIAL = 0.1  # share of a state's variance from which a prior shapes the result
INFLUENTIAL_OF_ALL = 0.01  # and of the variance of all states together
SOME = 10  # rows of a state
REMEDY = (
    "Set covars_prior (of matrices to 0.01 * np.eye(n_features), say: a number is added to every element), "
    "use fewer states, or another covariance_type."
)
SHAPING = "n_components", "covariance_type"
ALIKE = 0.01  # standard deviations between states that rows hardly tell apart


class GaussianHMM(ColumnCount, BaseHMM):
    """Hidden Markov model with Gaussian emissions, fitted by expectation-maximisation (Baum–Welch).

    A drop-in for ``hmmlearn.hmm.GaussianHMM``: the same parameters, attributes and results, and beyond it
    threads, weights of sequences, lists of sequences, missing values and memory that does not
    grow with the rows.

    Parameters
    ----------
    n_components : int, default=1
        Number of states K.
    covariance_type : {"diag", "full", "tied", "spherical"}, default="diag"
        A variance per column and state, a covariance matrix each, one for all, or one variance each.
    min_covar : float, default=1e-3
        Added to the variances of a start.
    startprob_prior, transmat_prior : float, array or None, default=1.0
        Parameters of Dirichlet priors of `startprob_` and of the rows of `transmat_`; 1 and None are
        maximum likelihood.
    means_prior : float, array or None, default=0
        Mean of the normal prior of the means, of any shape that broadcasts to that of `means_`.
    means_weight : float or array of shape (n_components,), default=0
        How many rows it counts as.
    covars_prior : float, array or None, default=1e-2
        Added to the scatter: variances (n_components, n_features) for "diag" and "spherical", else matrices,
        or what broadcasts to them. None is maximum likelihood, of the means too.
    covars_weight : float, default=1
        What it is above 1 (matrices: above the number of columns) is added to the number of rows.
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
    params, init_params : str, default="stmc"
        What is estimated, and what is set by the start: s(tartprob), t(ransmat), m(eans), c(ovars).
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
    means_ : ndarray of shape (n_components, n_features)
        Means, in units of the data.
    covars_ : ndarray of shape (n_components, n_features, n_features)
        Covariance matrices, whatever the type; may be assigned so, or in the shape of the type: (K, d) if
        diag, (K, d, d) if full, (d, d) if tied, (K,) if spherical. ValueError says what is no covariance.
    monitor_ : ConvergenceMonitor
        `history` of log-likelihoods, `iter`, `converged`.
    n_features_in_ : int
        Number of columns.
    n_iter_, converged_, history_
        Iterations, whether the last change was less than `tol`, a record of every iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import GaussianHMM
    >>> model = GaussianHMM(2)
    >>> model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
    >>> X, states = model.sample(500, random_state=0)
    >>> fitted = GaussianHMM(2, random_state=0, n_iter=50).fit(X)
    >>> fitted.means_.ravel().round(0).tolist() in ([0.0, 4.0], [4.0, 0.0])
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._chain_constraints,
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "min_covar": [Interval(Real, 0.0, None, closed="left")],
    }
    _emissions: ClassVar[dict[str, str]] = {"m": "means_", "c": "covars_"}
    _remedy: ClassVar[str] = REMEDY
    _shows_missing: ClassVar[bool] = True

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = COVARS_PRIOR,
        covars_weight: Any = 1,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
        n_jobs: int | None = -1,
        transmat_mask: Any = None,
        transmat_fixed: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
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

    @property
    def _family(self) -> ModuleType:
        return FAMILIES[f"gaussian_{self.covariance_type}"]

    def _family_of(self, components: Any) -> ModuleType:
        return self._family

    @property
    def covars_(self) -> Array:
        """Covariance matrices of the states, (n_components, n_features, n_features)."""
        covariances: Array = np.asarray(self._covars_)
        shape = covariances.shape
        if shape != self._family.covariance_shape(self.n_components, shape[-1]):
            raise AttributeError(
                f"covars_ are not those of covariance_type={self.covariance_type!r} and n_components="
                f"{self.n_components}, which were changed: assign them or call fit again."
            )
        if self.covariance_type == "full":
            return covariances.copy()
        if self.covariance_type == "tied":
            return np.repeat(covariances[None], self.n_components, axis=0)
        if self.covariance_type == "spherical":
            covariances = np.repeat(covariances[:, None], np.shape(self.means_)[1], axis=1)
        return np.asarray(covariances[:, :, None] * np.eye(covariances.shape[1]))

    @covars_.setter
    def covars_(self, covariances: Any) -> None:
        validate_parameter_constraints(  # of what says which shape they have
            {name: self._parameter_constraints[name] for name in SHAPING},
            {name: getattr(self, name) for name in SHAPING},
            type(self).__name__,
        )
        given = assigned(self.covariance_type, self.n_components, covariances)
        d = given.shape[-1] if self.covariance_type != "spherical" else 1
        self._components(np.zeros((self.n_components, d)), given, assigned=True)
        self._covars_ = given

    def _emission(self) -> Any:
        means = np.asarray(self.means_, dtype=np.float64)
        return self._components(means, self._covars_, assigned=True)

    def _components(self, means: Array, covariances: Array, assigned: bool = False) -> Any:
        if means.ndim != 2 or len(means) != self.n_components:
            raise ValueError(
                f"means_ must have shape (n_components, n_features) = ({self.n_components}, d), not "
                f"{means.shape}."
            )
        check_finite("means_", means)
        expected = self._family.covariance_shape(*means.shape)
        if covariances.shape != expected:
            raise ValueError(
                f"covars_ must have shape {expected} for covariance_type={self.covariance_type!r} with "
                f"{means.shape[1]} columns, not {covariances.shape}."
            )
        if assigned:
            check_assigned(covariances, self.covariance_type)
        try:
            with one_thread(covariances.size):
                return self._family.from_covariances(means, covariances)
        except SingularComponents as problem:
            states = ", ".join(map(str, problem.components))
            if assigned:
                raise ValueError(
                    f"covars_ of state(s) {states} is not positive definite: "
                    f"{wanted(self.covariance_type)}."
                ) from problem
            raise singular(problem, REMEDY) from problem

    def _set_emission(self, components: Any) -> None:
        self.means_, self._covars_ = components.means, components.covariances

    def _start_emission(
        self,
        observations: Observations,
        summary: Summary,
        rng: np.random.RandomState,
        workers: Workers,
    ) -> Any:
        K, d = self.n_components, observations.n_columns
        if "m" in self.init_params and observations.n_rows < K:
            raise ValueError(
                f"n_samples = {observations.n_rows} rows are fewer than n_components = {K} states."
            )
        if "c" in self.init_params and observations.n_rows == 1:
            raise ValueError(
                "n_samples = 1: one row has no variance to start with. Give two rows or more, or set "
                "covars_ and leave 'c' out of init_params."
            )
        if "m" in self.init_params:
            means = start_means(observations, K, rng, self._constraints().forward_only)
        else:
            means = np.asarray(self.means_, dtype=np.float64)
        if "c" in self.init_params:
            together = covariance_of(start_rows(observations)) + self.min_covar * np.eye(d)
            covariances = {
                "full": np.repeat(together[None], K, axis=0),
                "tied": together,
                "diag": np.repeat(np.diag(together)[None], K, axis=0),
                "spherical": np.full(K, np.diag(together).mean()),
            }[self.covariance_type]
        else:
            covariances = self._covars_
        return self._components(means, covariances, assigned="c" not in self.init_params)

    def _prior(self, components: Any) -> Prior:
        """The priors, checked and broadcast to K states with d columns."""
        (K, d), columns = components.means.shape, "n_features"
        centre, weight = mean_and_weight(self.means_prior, self.means_weight)
        if np.ndim(weight) == 2 and np.shape(weight)[1] == 1:  # as hmmlearn's broadcasts
            weight = np.asarray(weight)[:, 0]
        means_weight = prior_values("means_weight", weight, (K,), STATES, 0.0)
        means = prior_values("means_prior", centre, (K, d), (*STATES, columns))
        degrees = 0.0 if self.covars_weight is None else self.covars_weight
        degrees = float(prior_values("covars_weight", degrees, (1,), (), 0.0)[0])
        matrices = self.covariance_type in ("full", "tied")
        states, names = ((), ()) if self.covariance_type == "tied" else ((K,), STATES)
        shape, names = (*states, *(d,) * (1 + matrices)), (*names, *(columns,) * (1 + matrices))
        if self.covars_prior is None:
            return Prior(np.zeros((K, d)), np.zeros(K), np.zeros(shape), 0.0)
        if matrices:
            covariances = prior_matrices("covars_prior", self.covars_prior, shape, names)
        else:
            covariances = prior_values("covars_prior", self.covars_prior, shape, names, 0.0)
        return Prior(means, means_weight, covariances, max(degrees - (d if matrices else 1), 0.0))

    def _renew_emission(self, components: Any, sums: Array, prior: Prior) -> tuple[Any, list[int]]:
        chosen = "m" in self.params, "c" in self.params
        try:
            means, covariances = renewed(self._family, components, sums, prior, *chosen)
        except SingularComponents as problem:  # tied: the others are held
            raise singular(problem, REMEDY) from problem
        if self.covariance_type == "tied":
            return self._components(means, covariances), []
        return with_held(self._family, means, covariances, components.covariances)

    def _tell_of_prior(
        self, prior: Prior, components: Any, sums: Array, names: dict[int, str]
    ) -> None:
        counts = self._family.stats_of(sums, *components.means.shape).counts
        variances = self._family.variances(components)
        weights = counts[:, None] / counts.sum()
        off = components.means - (weights * components.means).sum(axis=0)
        of_all = (weights * (variances + off**2)).sum(axis=0)
        if "c" in self.init_params and self.covars_prior is None:
            self._tell_of_start(of_all, names)
        chosen = np.ndim(self.covars_prior) or self.covars_prior != COVARS_PRIOR
        if "c" not in self.params or chosen:
            return
        matrices = self.covariance_type in ("full", "tied")
        added = diagonals(prior.covariances) if matrices else prior.covariances
        rows = counts.sum() if self.covariance_type == "tied" else known(counts)[:, None]
        added = added / rows
        # a state of few rows or of equal ones is what the prior is for
        counted = (counts[:, None] >= SOME) & (added >= INFLUENTIAL_OF_ALL * of_all)
        share = np.where(counted, added / variances, 0.0)
        heavy = [name for j, name in names.items() if share[:, j].max() >= INFLUENTIAL]
        if heavy:
            listed = ", ".join(heavy[:10]) + ", …" * (len(heavy) > 10)
            most = min(share[:, list(names)].max(), 1.0)
            warn(
                RegularizationWarning,
                f"covars_prior is up to {most:.0%} of the variance of states in {listed}: "
                "it is added to the squares of their rows, whatever the unit of these. Scale the columns, or "
                "set covars_prior=None.",
            )

    def _tell_of_start(self, of_all: Array, names: dict[int, str]) -> None:
        wide = [name for j, name in names.items() if 0.0 < of_all[j] <= self.min_covar]
        if wide:
            warn(
                RegularizationWarning,
                f"min_covar={self.min_covar:g} is more than the variance of {', '.join(wide[:10])}"
                f"{', …' * (len(wide) > 10)}: it is added to that of every state at the start, which may "
                "then be too wide to tell states apart. Scale the columns, or set min_covar=0.",
            )

    def _tell_of_states(self, components: Any) -> None:
        if "m" not in self.params:
            return
        means = components.means
        scale = np.sqrt(self._family.variances(components))
        near = np.abs(means[:, None] - means) < ALIKE * np.minimum(scale[:, None], scale)
        near &= np.abs(np.log(scale[:, None] / scale)) < ALIKE
        alike = np.flatnonzero(near.all(axis=2).sum(axis=1) > 1)
        if alike.size:
            warn(
                DegenerateComponentWarning,
                f"States {', '.join(map(str, alike))} are alike: their means and variances differ by less "
                "than a hundredth of a standard deviation, so rows do not tell them apart. Use another start "
                "(n_init, random_state, means_) or fewer states.",
            )

    def _log_prior(self, components: Any, prior: Prior) -> float:
        return log_prior(self._family, components, prior)

    def _n_columns(self, components: Any) -> int:
        return int(components.means.shape[1])

    def _n_emission_parameters(self, components: Any) -> int:
        K, d = components.means.shape
        return int(self._family.n_parameters(K, d))
