"""A scikit-learn transformer that fills in missing values, beside `IterativeImputer`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import MissingIndicator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from fusem.data import Rows
from fusem.em.history import Sweep
from fusem.exceptions import FusemWarning
from fusem.impute.bootstrap import BootstrapWeights
from fusem.mixture.gaussian import GaussianMixture
from fusem.mixture.output import check_output
from fusem.mixture.source import column_names, rows_to_fit, rows_to_use, weights_of


class EMImputer(TransformerMixin, BaseEstimator):
    """Fill in missing values (NaN) from a Gaussian mixture fitted to what was observed.

    The mixture is fitted by exact EM, missing values at random, without a separate imputation step; one
    component is the multivariate normal distribution. A missing value becomes its mean given the observed
    values of its row, or a draw. With several imputations each comes from a mixture fitted to a bootstrap
    sample, so that their spread shows what is not known (`fusem.pool` combines what is estimated from them).

    Parameters
    ----------
    n_components : int, default=1
        Components of the mixture.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        As in `GaussianMixture`. Columns are independent within components in the last two.
    sample_posterior : bool, default=False
        Draw instead of taking means. Means have too small a spread and too strong correlations.
    n_imputations : int, default=1
        Completed tables; more than one only with `sample_posterior=True`.
    add_indicator : bool, default=False
        Append a column for each column that had missing values in `fit`: 1 where a value is missing.
    tol : float, default=1e-6
        EM stops when the mean log-likelihood per row changes by less.
    reg_covar : float or "auto", default="auto"
        As in `GaussianMixture`: 1e-6 of each column's variance is added, whatever the units.
    max_iter : int, default=1000
        Most EM iterations.
    n_init : int, default=1
        Starts of EM; the likelihood of data with holes can have several maxima even with one component.
    random_state : int, RandomState or None, default=None
        Seeds starts, draws and bootstrap samples. Draws belong to row numbers: the same row of another
        table gets the same random numbers.
    verbose : int, default=0
        1 prints iterations, 2 also times and changes, as in `GaussianMixture`; with several imputations
        each is announced.
    verbose_interval : int, default=10
        Iterations between two lines.
    n_jobs : int or None, default=-1
        Threads; −1 is all cores. The result does not depend on it.

    Attributes
    ----------
    mixture_ : GaussianMixture
        The mixture, fitted to all rows.
    mixtures_ : list of GaussianMixture
        Those that values are drawn from: `mixture_` alone, or one per imputation.
    indicator_ : MissingIndicator or None
        What appends columns, with `add_indicator`.
    n_iter_ : int
        EM iterations of `mixture_`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where the data had any.

    References
    ----------
    Little and Rubin (2002), "Statistical analysis with missing data". Honaker and King (2010) for EM with
    bootstrap.

    Examples
    --------
    >>> import numpy as np, fusem
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> X = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=500)])
    >>> X[::5, 1] = np.nan
    >>> filled = fusem.EMImputer().fit_transform(X)
    >>> bool(np.abs(filled[:, 1] - 2 * filled[:, 0]).max() < 0.5)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "sample_posterior": ["boolean"],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "add_indicator": ["boolean"],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        sample_posterior: bool = False,
        n_imputations: int = 1,
        add_indicator: bool = False,
        tol: float = 1e-6,
        reg_covar: float | str = "auto",
        max_iter: int = 1000,
        n_init: int = 1,
        random_state: Any = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = -1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.sample_posterior = sample_posterior
        self.n_imputations = n_imputations
        self.add_indicator = add_indicator
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> EMImputer:
        """Fit the mixture, and one more per imputation where there are several.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `GaussianMixture.fit`; NaN is missing.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        self : EMImputer
            The fitted imputer.

        Raises
        ------
        ValueError
            As `GaussianMixture.fit`: among others at a column without any value, naming it.
        """
        return self._fit(X, y, sample_weight)

    def _fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        on_iteration: Callable[[Sweep], None] | None = None,
        on_imputation: Callable[[int, GaussianMixture], None] | None = None,
    ) -> EMImputer:
        """`fit`, which tells of every sweep of `mixture_` and of every mixture to draw from."""
        self._validate_params()
        if self.n_imputations > 1 and not self.sample_posterior:
            raise ValueError(
                f"n_imputations={self.n_imputations} tables of conditional means would all be the same: "
                "set sample_posterior=True."
            )
        rows, names = rows_to_fit(X, y), None
        names = column_names(X, rows)
        rng = check_random_state(self.random_state)
        seed = None if self.random_state is None else int(rng.randint(np.iinfo(np.int32).max))
        mixture = self._mixture(random_state=seed)  # None: one component is fitted alike every time
        mixture._fit(rows, sample_weight, on_iteration)
        mixtures = [mixture]
        if self.n_imputations > 1:
            n = rows.n_rows
            n_rows = sum(len(block) for block in rows.blocks()) if n is None else n
            seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_imputations)
            mixtures = []
            for number, drawn in enumerate(seeds):
                if self.verbose:
                    print(f"Imputation {number}")
                one = self._bootstrapped(mixture, rows, n_rows, sample_weight, int(drawn))
                mixtures.append(one)
                if on_imputation is not None:
                    on_imputation(number, one)
        indicator = self._indicator(rows) if self.add_indicator else None
        self.mixture_, self.mixtures_, self.indicator_ = mixture, mixtures, indicator
        self._seeds = [int(seed) for seed in rng.randint(2**31 - 1, size=self.n_imputations)]
        self.n_iter_, self.n_features_in_ = mixture.n_iter_, rows.n_columns
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _mixture(self, **options: Any) -> GaussianMixture:
        shared = ["covariance_type", "tol", "reg_covar", "max_iter", "n_init"]
        shared += ["verbose", "verbose_interval", "n_jobs"]
        given = {name: getattr(self, name) for name in shared} | options
        return GaussianMixture(self.n_components, **given)

    def _bootstrapped(
        self, mixture: GaussianMixture, rows: Rows, n_rows: int, sample_weight: Any, seed: int
    ) -> GaussianMixture:
        """A mixture fitted to rows with random weights, from the one fitted to all."""
        drawn = self._mixture(
            n_init=1,
            random_state=seed,
            weights_init=mixture.weights_,
            means_init=mixture.means_,
            precisions_init=mixture.precisions_,
        )
        weights = BootstrapWeights(n_rows, weights_of(sample_weight), seed)
        with warnings.catch_warnings():  # the fit to all rows has said it
            warnings.simplefilter("ignore", FusemWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            drawn.fit(rows, sample_weight=weights)
        return drawn

    def _indicator(self, rows: Rows) -> MissingIndicator:
        missing = np.zeros(rows.n_columns, dtype=bool)
        for block in rows.blocks():
            missing |= np.isnan(block).any(axis=0)
        some = np.where(missing, np.nan, 0.0)[None]
        return MissingIndicator(error_on_new=False).fit(np.vstack([some, np.zeros_like(some)]))

    def transform(self, X: Any, out: Any = None) -> Any:
        """Fill in missing values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        out : path ending in ``.npy``, optional
            Where to write, with bounded memory; with several imputations ``{}`` in its name stands for
            their numbers, from 0.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or a list of them
            The completed table; with more than one imputation a list, which no pipeline goes on with.
            With `out` read-only memory maps of the files, also where `set_output` asks for data frames.

        Raises
        ------
        ValueError
            For other columns than in `fit`, an infinity, or an `out` that cannot be written.
        """
        check_is_fitted(self)
        rows = rows_to_use(self, X, self.n_features_in_)
        many = len(self.mixtures_) > 1
        if many and out is None and self._wrapped():
            raise ValueError(
                "set_output and transform_output wrap one table; with n_imputations > 1 there are several: "
                "make data frames of them afterwards, or write them to files (out=)."
            )
        paths = self._paths(out, len(self.mixtures_))
        for path in paths:
            check_output(path, X)
        tables = [
            self._completed(mixture, rows, seed, path)
            for mixture, seed, path in zip(self.mixtures_, self._seeds, paths, strict=True)
        ]
        return tables if many else tables[0]

    def _wrapped(self) -> bool:
        """Whether scikit-learn is to make data frames of what `transform` returns."""
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        return bool((own or get_config()["transform_output"]) != "default")

    def _completed(self, mixture: GaussianMixture, rows: Rows, seed: int, out: Any) -> NDArray[Any]:
        table = mixture.impute(
            rows, sample_posterior=self.sample_posterior, random_state=seed, out=out
        )
        if self.indicator_ is None:
            return table
        shown = [self.indicator_.transform(np.asarray(block)) for block in rows.blocks()]
        return np.hstack([table, np.concatenate(shown).astype(table.dtype)])

    def _paths(self, out: Any, count: int) -> list[Any]:
        if out is None:
            return [None] * count
        if not isinstance(out, (str, os.PathLike)):
            raise ValueError(f"out must be a path ending in .npy, got {type(out).__name__}.")
        if self.indicator_ is not None:
            raise ValueError(
                "out cannot hold the columns of add_indicator=True: leave one of them out."
            )
        name = os.fspath(out)
        if count > 1 and "{}" not in name:
            raise ValueError(
                f"out={name!r} is one file for {count} tables: put {{}} where their numbers shall stand."
            )
        return [name.replace("{}", str(number)) if count > 1 else name for number in range(count)]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns of a completed table.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of `fit`, where it saw none.

        Returns
        -------
        names : ndarray of str
            Those of the columns, then those of the indicators.
        """
        check_is_fitted(self, "n_features_in_")
        names = np.asarray(_check_feature_names_in(self, input_features), dtype=object)
        if self.indicator_ is None:
            return names
        return np.concatenate([names, self.indicator_.get_feature_names_out(names)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _files_unwrapped(transform: Callable[..., Any]) -> Callable[..., Any]:
    """`transform` as scikit-learn wraps it for `set_output`, but for files: they are returned as they are."""
    plain = transform.__wrapped__  # type: ignore[attr-defined]

    @wraps(plain)
    def either(self: EMImputer, X: Any, out: Any = None) -> Any:
        return transform(self, X) if out is None else plain(self, X, out)

    return either


EMImputer.transform = _files_unwrapped(EMImputer.transform)  # type: ignore[method-assign]
