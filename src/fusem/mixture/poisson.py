"""Poisson mixtures: rows of counts whose columns are independent within a component."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusem.families.registry import FAMILIES
from fusem.mixture.counts import CONSTRAINTS, CountMixture

Array = NDArray[np.float64]


class PoissonMixture(CountMixture):
    """Mixture of independent Poisson counts, fitted by expectation-maximisation.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood per row changes by less.
    max_iter : int, default=100
        Most EM iterations; 0 means the start only.
    n_init : int, default=1
        Number of starts; the one with the highest log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How a start is drawn: hard clusters of square roots of the counts, spread-out rows, random
        shares or random rows. Each component gets one row more, the mean of all, so that nothing starts at
        exactly 0. Above 50,000 rows a start looks at a random subsample of so many.
    weights_init : array-like of shape (n_components,), optional
        Mixing weights to start from.
    rates_init : array-like of shape (n_components, n_features), optional
        Rates to start from. A rate of exactly 0 stays 0: its component explains no row with a count there.
    random_state : int, RandomState or None, default=None
        Seeds the starts, and `sample`.
    warm_start : bool, default=False
        Continue from the last fit instead of a new start.
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
    rates_ : ndarray of shape (n_components, n_features)
        Mean count of every column; 0 is possible, in a column of zeros for instance.
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
    Rows hold whole numbers from 0 on, in any dtype; `fit` looks at all of them first. NaN is a missing value
    and is left out. The log-likelihood has the factorials of the counts in it.

    References
    ----------
    Hasselblad (1969), "Estimation of finite mixtures of distributions from the exponential family".

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.poisson((1, 5), (600, 2)), rng.poisson((9, 2), (400, 2))])
    >>> model = fusem.PoissonMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.weights_).round(1)
    array([0.4, 0.6])
    >>> np.sort(model.rates_[:, 0]).round()
    array([1., 9.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "rates_init": ["array-like", None],
    }
    _components_name: ClassVar[str] = "rates_"
    rates_: Any

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        rates_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.rates_init = rates_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @property
    def _family(self) -> Any:
        return FAMILIES["poisson"]

    def _check_components(self, values: Array, name: str) -> None:
        if values.ndim != 2 or not (np.isfinite(values).all() and (values >= 0.0).all()):
            raise ValueError(f"{name} must be (n_components, n_features), finite and not negative.")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
