"""Categorical mixtures, that is latent class analysis: columns of codes, independent within a class."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from fusem.data import Rows
from fusem.em.workers import Workers
from fusem.families import categorical
from fusem.mixture.counts import CONSTRAINTS, CountMixture, check_probabilities
from fusem.mixture.engine import Check, Model
from fusem.mixture.fitting import Fitted

Array = NDArray[np.float64]


MOST_NUMBERS = 2**27  # probabilities of a model: one gigabyte


class CategoricalMixture(CountMixture):
    """Mixture of independent categorical columns, fitted by expectation-maximisation: latent class analysis.

    Parameters
    ----------
    n_components : int, default=1
        Number of components (classes) K.
    n_categories : int or array-like of int of shape (n_features,), optional
        How many categories each column has, codes 0 to n − 1. By default one more than the largest code
        that `fit` sees in the column.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood per row changes by less.
    max_iter : int, default=100
        Most EM iterations; 0 means the start only.
    n_init : int, default=1
        Number of starts; the one with the highest log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How a start is drawn: hard clusters of the columns, a feature for each code, spread-out rows, random
        shares or random rows. Each component gets one row more, the mean of all, so that nothing starts at
        exactly 0. Above 50,000 rows a start looks at a random subsample of so many.
    weights_init : array-like of shape (n_components,), optional
        Mixing weights to start from.
    probabilities_init : array-like of shape (n_components, n_features, M), optional
        Probabilities to start from, M the largest number of categories; 0 beyond those of a column. One of
        exactly 0 stays 0.
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
    probabilities_ : ndarray of shape (n_components, n_features, M)
        Probability of every code in every column; 0 beyond the codes of a column, sums over M are 1.
    n_categories_ : ndarray of shape (n_features,), int64
        How many categories each column has.
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
    Rows hold codes 0, 1, … in any dtype; `fit` looks at all of them first. NaN is a missing value and is
    left out (missing at random). Which class is which depends on the start.

    References
    ----------
    Goodman (1974), "Exploratory latent structure analysis using both identifiable and unidentifiable models".

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> rng = np.random.default_rng(0)
    >>> yes = np.repeat([[0.9, 0.8, 0.9, 0.8], [0.2, 0.1, 0.3, 0.1]], [6000, 4000], axis=0)
    >>> X = rng.random(yes.shape) < yes  # four questions, answered 0 or 1
    >>> model = fusem.CategoricalMixture(n_components=2, tol=1e-6, random_state=0).fit(X)
    >>> np.sort(model.probabilities_[:, 0, 1]).round(1)
    array([0.2, 0.9])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "n_categories": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "probabilities_init": ["array-like", None],
    }
    _components_name: ClassVar[str] = "probabilities_"
    _what: ClassVar[str] = "code"
    probabilities_: Any

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_categories: int | Iterable[int] | None = None,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        probabilities_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_components = n_components
        self.n_categories = n_categories
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.probabilities_init = probabilities_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @property
    def _family(self) -> Any:
        return categorical.of(self._categories())

    def _categories(self) -> NDArray[np.int64]:
        """Of each column: as fitted, or as many as there are probabilities for."""
        d, M = np.shape(self.probabilities_)[1:]
        known = getattr(self, "n_categories_", None)
        if known is not None and np.shape(known) == (d,) and np.max(known) == M:
            return np.asarray(known)
        return np.full(d, M)

    def _check(self, rows: Rows) -> Check | None:
        return self._values(rows, self._categories()).check

    def _examined(self, rows: Rows, workers: Workers) -> Any:
        d, given = rows.n_columns, self.n_categories
        goes_on = self.warm_start and hasattr(self, "converged_")
        if goes_on:
            limits = self._categories()
        elif given is not None:
            limits = checked_categories(given, d)
        else:
            limits = None
        largest = self._values(rows, limits).largest_codes(workers)
        if limits is None:
            limits = np.maximum(largest + 1, 1)
        check_size(self.n_components, limits)
        return categorical.of(limits)

    def _components_shape(self, family: Any, d: int) -> tuple[int, ...]:
        return (self.n_components, d, family.n_codes)

    def _check_components(self, values: Array, name: str) -> None:
        if values.ndim != 3:
            raise ValueError(f"{name} must be (n_components, n_features, M), not {values.shape}.")
        check_probabilities(values, 2, name)

    def _keep(self, fitted: Fitted, rows: Rows, names: NDArray[np.object_] | None) -> None:
        self.n_categories_ = np.broadcast_to(fitted.family.n_categories, (rows.n_columns,)).copy()
        super()._keep(fitted, rows, names)

    def _model(self) -> Model:
        if np.ndim(self.probabilities_) != 3:
            self._check_components(np.asarray(self.probabilities_), "probabilities_")
        return super()._model()

    def _saved(self) -> tuple[dict[str, Any], dict[str, Any]]:
        header, arrays = super()._saved()
        return header, {**arrays, "n_categories": self._categories()}

    def _restore(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        super()._restore(header, arrays)
        self.n_categories_ = arrays["n_categories"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags


def check_size(n_components: int, limits: NDArray[np.int64]) -> None:
    """Refuse numbers of categories, one for each column, whose probabilities do not fit into memory."""
    numbers = n_components * len(limits) * int(limits.max())
    if numbers > MOST_NUMBERS:
        j = int(np.argmax(limits))
        raise ValueError(
            f"Codes up to {limits[j] - 1} in column {j} make {numbers} probabilities: number the "
            "categories without gaps, np.unique(column, return_inverse=True)."
        )


def checked_categories(given: Any, d: int) -> NDArray[np.int64]:
    """Numbers of categories, one for each of d columns."""
    numbers = np.asarray(given)
    if numbers.ndim > 1 or (numbers.ndim == 1 and len(numbers) != d):
        raise ValueError(
            f"n_categories has shape {numbers.shape}, but X has {d} columns: give one number, or one for "
            "each column."
        )
    if numbers.dtype.kind not in "iu" or (numbers < 1).any():
        raise ValueError(f"n_categories must be whole numbers from 1 on, not {given!r}.")
    return np.broadcast_to(numbers, (d,)).astype(np.int64)
