"""Multinomial mixtures: rows of counts, of which only the shares of their columns tell components apart."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusem.families.registry import FAMILIES
from fusem.mixture.counts import CONSTRAINTS, CountMixture, check_probabilities

Array = NDArray[np.float64]


class MultinomialMixture(CountMixture):
    """Mixture of multinomial distributions, fitted by expectation-maximisation.

    Each row has its own total, which is given; a component says how it is spread over the columns.

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
        How a start is drawn: hard clusters of square roots of the shares, spread-out rows, random
        shares or random rows. Each component gets one row more, the mean of all, so that nothing starts at
        exactly 0. Above 50,000 rows a start looks at a random subsample of so many.
    weights_init : array-like of shape (n_components,), optional
        Mixing weights to start from.
    probabilities_init : array-like of shape (n_components, n_features), optional
        Probabilities to start from. One of exactly 0 stays 0: its component explains no row with a count
        there.
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
    probabilities_ : ndarray of shape (n_components, n_features)
        Share of every column; a component's sum to 1.
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
    Rows hold whole numbers from 0 on, in any dtype; `fit` looks at all of them first. A row may be missing,
    NaN in all columns. In some of them it is an error: the total is not known then.

    References
    ----------
    Nigam, McCallum, Thrun and Mitchell (2000), "Text classification from labeled and unlabeled documents
    using EM".

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate(
    ...     [rng.multinomial(20, (0.7, 0.2, 0.1), 600), rng.multinomial(9, (0.1, 0.1, 0.8), 400)]
    ... )
    >>> model = fusem.MultinomialMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.probabilities_[:, 0]).round(1)
    array([0.1, 0.7])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "probabilities_init": ["array-like", None],
    }
    _components_name: ClassVar[str] = "probabilities_"
    _missing_one_by_one: ClassVar[bool] = False
    probabilities_: Any

    def __init__(
        self,
        n_components: int = 1,
        *,
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
        return FAMILIES["multinomial"]

    def _check_components(self, values: Array, name: str) -> None:
        if values.ndim != 2:
            raise ValueError(f"{name} must be (n_components, n_features), not {values.shape}.")
        check_probabilities(values, 1, name)

    def sample(
        self, n_samples: int = 1, n_trials: int = 1, *, random_state: Any = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows from the mixture, component by component.

        Parameters
        ----------
        n_samples : int
            How many.
        n_trials : int
            Total of each row.
        random_state : int, RandomState or None
            Seeds the draw; None is the `random_state` of the mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows.
        y : ndarray of shape (n_samples,), int64
            The component of each.
        """
        return self._sample(n_samples, random_state, n_trials=n_trials)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # of missing values the tag says that there may be any
        tags.input_tags.positive_only, tags.input_tags.allow_nan = True, False
        return tags
