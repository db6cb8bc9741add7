"""Gaussian mixtures, a drop-in for scikit-learn's with weights, threads and data of any size."""

from __future__ import annotations

from numbers import Integral, Real
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fusem.em.blas import one_thread
from fusem.families.gaussian import SingularComponents, diagonals
from fusem.families.registry import FAMILIES
from fusem.mixture import diagnose, diagnose_missing
from fusem.mixture.assigned import (
    as_numbers,
    check_positive,
    check_symmetric,
    check_weights_of,
)
from fusem.mixture.base import BaseMixture
from fusem.mixture.conditional import Conditional
from fusem.mixture.engine import Model
from fusem.mixture.fitting import AUTOMATIC, Fitted, Settings
from fusem.mixture.impute import Impute
from fusem.mixture.start_parameters import check_means, check_precisions, check_weights

Array = NDArray[np.float64]


class GaussianMixture(Conditional, Impute, BaseMixture):
    """Gaussian mixture, fitted by expectation-maximisation.

    A drop-in for ``sklearn.mixture.GaussianMixture``: the same parameters, attributes and results,
    and beyond it sample weights, rows from files and streams, threads, and float32 without copies.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        A covariance matrix each, one for all, a variance per column, or one variance each.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood per row changes by less.
    reg_covar : float or "auto", default=1e-6
        Added to every variance, in squared units of the data. ``"auto"``: 1e-6 of each column's
        variance, so that the result does not depend on the units.
    max_iter : int, default=100
        Most EM iterations; 0 means the start only.
    n_init : int, default=1
        Number of starts; the one with the highest log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How a start is drawn. Up to 50,000 rows it is scikit-learn's for float64 (float32 rows start as
        their values would there); above, it is drawn from a random subsample of so many rows.
    weights_init : array-like of shape (n_components,), optional
        Mixing weights to start from.
    means_init : array-like of shape (n_components, n_features), optional
        Means to start from.
    precisions_init : array-like, optional
        Inverse covariances to start from, in the shape of `precisions_`.
    random_state : int, RandomState or None, default=None
        Seeds the starts, and `sample`.
    warm_start : bool, default=False
        Continue from the last fit instead of a new start. Columns with names must be those of that
        fit; from a file they are taken by name.
    verbose : int, default=0
        1 prints iterations, 2 also times and changes.
    verbose_interval : int, default=10
        Iterations between two lines.
    n_jobs : int or None, default=-1
        Threads; −1 is all cores, None is one. The result does not depend on it, not even in the last
        bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights.
    means_ : ndarray of shape (n_components, n_features)
        Means, in units of the data; float64 whatever the data.
    covariances_ : ndarray
        Shape (K, d, d) if full, (d, d) if tied, (K, d) if diag, (K,) if spherical.
    precisions_ : ndarray
        Their inverses, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangles U with precision = U Uᵀ (full, tied), or 1 / standard deviation.
    converged_ : bool
        Whether the kept start converged.
    n_iter_ : int
        Iterations of the kept start.
    lower_bound_ : float
        Mean log-likelihood per row at its last sweep, that is before its last M-step.
    lower_bounds_ : list of float
        The same for each iteration.
    history_ : structured ndarray of shape (n_iter_,)
        Per sweep: iteration, log_likelihood (mean per row), change, seconds, rows_per_second.
    starts_ : list
        Each start and its outcome: index, lower_bound, n_iter, converged, seconds, error.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where the data had any.

    Notes
    -----
    Of `covariances_`, `precisions_` and `precisions_cholesky_` one is stored: the one assigned last
    (after `fit`, `covariances_`). The others are computed from it and read-only. Together with
    `weights_` and `means_` they may be assigned without `fit`.

    A child that is forked from a process which has fitted hangs in the k-means start (scikit-learn's
    OpenMP threads do not survive a fork): give `multiprocessing` the method "spawn" or "forkserver".

    References
    ----------
    Dempster, Laird and Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm".

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(1, 1, (600, 2)), rng.normal(9, 2, (400, 2))])
    >>> model = fusem.GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.weights_).round(2)
    array([0.4, 0.6])
    >>> bool(model.predict([[0, 0]])[0] == model.predict([[1, 1]])[0])
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | str = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    _components_name: ClassVar[str] = "means_"

    @property
    def _family(self) -> ModuleType:
        return FAMILIES[f"gaussian_{self.covariance_type}"]

    def _settings(self, family: Any, d: int) -> Settings:
        K = self.n_components
        weights, means, precisions = self.weights_init, self.means_init, self.precisions_init
        if weights is not None:
            weights = check_weights(weights, K)
        if means is not None:
            means = check_means(means, K, d)
        if precisions is not None:
            precisions = check_precisions(precisions, family, self.covariance_type, K, d)
        return Settings(
            K, self.tol, self.reg_covar, self.max_iter, self.n_init, self.init_params,
            check_random_state(self.random_state), weights, means, precisions,
        )  # fmt: skip

    def _diagnose(
        self, fitted: Fitted, support: Array | None, names: NDArray[np.object_] | None
    ) -> None:
        model, summary, reg = fitted.run.params, fitted.summary, fitted.reg
        assert reg is not None
        diagnose.convergence(fitted.run)
        diagnose_missing.missing_values(self._family, summary, names)
        few = diagnose.rows_per_component(summary, len(model.weights), names)
        singular = diagnose.columns(
            self._family, model, summary, reg, self.reg_covar == "auto", names
        )
        given = fitted.counts, summary, reg, singular, names
        told = diagnose.components(self._family, model, *given)
        if support is not None:
            diagnose_missing.values_per_component(self._family, support, told, few, names)
        diagnose.likelihood(fitted.run, diagnose.of_regularisation(singular))

    def _regularisation(self, model: Model) -> Array:
        if self.reg_covar == "auto":
            return np.asarray(
                getattr(self, "_reg", AUTOMATIC * mixture_variances(self._family, model))
            )
        return np.full(model.n_columns, float(self.reg_covar))

    # ---- the one stored form of the covariances, and what is computed from it ----

    def _components(self) -> Any:
        try:
            return self._assigned_components(np.asarray(self.means_, dtype=np.float64))
        except SingularComponents as problem:
            which = ", ".join(map(str, problem.components))
            whose = "The covariance" if self.covariance_type == "tied" else f"Covariances {which}"
            raise ValueError(
                f"{whose} of this {type(self).__name__} cannot be used: not positive definite. Assign "
                "covariances_ that are, or fit again."
            ) from None

    def _assigned_components(self, means: Array) -> Any:
        if "_stored" not in self.__dict__:
            raise AttributeError(
                f"This {type(self).__name__} has no covariances yet: call fit, or assign covariances_ "
                "(or precisions_cholesky_) beside weights_ and means_."
            )
        form, values = self._stored
        with one_thread(values.size):
            if form == "covariances":
                return self._family.from_covariances(means, values)
            whitening = (
                np.swapaxes(values, -1, -2) if self.covariance_type in ("full", "tied") else values
            )
            return self._family.from_whitening(means, whitening)

    def _model(self) -> Model:
        weights = as_numbers(self.weights_, "weights_")
        means = as_numbers(self.means_, "means_")
        check_weights_of(weights, means, "means_")
        if means.ndim != 2:
            raise ValueError(f"means_ must be (n_components, n_features), not {means.shape}.")
        if not np.isfinite(means).all():
            raise ValueError("means_ has values that are NaN or infinite.")
        self._components_shape(means)
        return Model(weights, self._components())

    def _components_shape(self, means: Array) -> None:
        if "_stored" not in self.__dict__:
            return
        shape = self._family.covariance_shape(*means.shape)
        form, values = self._stored
        if values.shape != shape:
            raise ValueError(
                f"{form}_ has shape {values.shape}; covariance_type={self.covariance_type!r} with means_ "
                f"of shape {means.shape} needs {shape}."
            )
        if not np.isfinite(values).all():
            raise ValueError(f"{form}_ has values that are NaN or infinite.")
        matrices = self._family.MATRICES
        if form == "precisions_cholesky":
            check_positive(diagonals(values) if matrices else values, f"{form}_", matrices)
        elif matrices:
            check_symmetric(values, f"{form}_")

    def _set_model(self, model: Model) -> None:
        self.weights_, self.means_ = model.weights, model.components.means
        self.covariances_ = model.components.covariances

    def _saved(self) -> tuple[dict[str, Any], dict[str, Array]]:
        form, stored = self._stored
        return {"form": form}, {"means": self.means_, form: stored}

    def _restore(self, header: dict[str, Any], arrays: dict[str, Array]) -> None:
        self.means_, form = arrays["means"], header["form"]
        if form == "covariances":
            self.covariances_ = arrays[form]
        else:
            self.precisions_cholesky_ = arrays[form]

    @property
    def covariances_(self) -> Array:
        """Covariance of each component, in the shape of `covariance_type`."""
        if self.__dict__.get("_stored", ("",))[0] == "covariances":
            return self._stored[1]
        return _read_only(self._components().covariances)

    @covariances_.setter
    def covariances_(self, values: Any) -> None:
        self._stored = ("covariances", as_numbers(values, "covariances_"))

    @property
    def precisions_cholesky_(self) -> Array:
        """Upper triangles U with precision = U Uᵀ, or 1 / standard deviation."""
        if self.__dict__.get("_stored", ("",))[0] == "precisions_cholesky":
            return self._stored[1]
        whitening = self._components().whitening
        triangles = self.covariance_type in ("full", "tied")
        return _read_only(np.swapaxes(whitening, -1, -2) if triangles else whitening)

    @precisions_cholesky_.setter
    def precisions_cholesky_(self, values: Any) -> None:
        self._stored = ("precisions_cholesky", as_numbers(values, "precisions_cholesky_"))

    @property
    def precisions_(self) -> Array:
        """Inverse of each covariance, in the same shape."""
        upper = self.precisions_cholesky_
        if self.covariance_type in ("full", "tied"):
            return _read_only(upper @ np.swapaxes(upper, -1, -2))
        return _read_only(upper**2)

    @precisions_.setter
    def precisions_(self, values: Any) -> None:
        given = np.atleast_1d(as_numbers(values, "precisions_"))
        sizes = given.shape[0], given.shape[-1]
        precisions = check_precisions(given, self._family, self.covariance_type, *sizes)
        nowhere = np.zeros((1, 1))  # the means do not matter here
        whitening = self._family.from_precisions(nowhere, precisions).whitening
        triangles = self.covariance_type in ("full", "tied")
        self.precisions_cholesky_ = np.swapaxes(whitening, -1, -2) if triangles else whitening


def mixture_variances(family: ModuleType, model: Model) -> Array:
    """Variance of each column under the whole mixture, (d,)."""
    weights, means = model.weights / model.weights.sum(), model.components.means
    spread = (means - weights @ means) ** 2
    return np.asarray(weights @ (family.variances(model.components) + spread))


def _read_only(values: Array) -> Array:
    values = np.array(values)
    values.flags.writeable = False
    return values
