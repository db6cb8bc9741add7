"""Rubin's rules: one estimate from those of several completed tables."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

Array = NDArray[np.float64]


class Pooled(NamedTuple):
    """An estimate from m completed tables.

    Attributes
    ----------
    estimate : ndarray or float
        Mean of the estimates.
    variance : ndarray or float
        Its variance: within + (1 + 1/m) between.
    within : ndarray or float
        Mean of the variances: what there would be without missing values.
    between : ndarray or float
        Variance of the estimates over the tables: what missing values add.
    df : ndarray or float
        Degrees of freedom of Student's t.
    """

    estimate: Any
    variance: Any
    within: Any
    between: Any
    df: Any

    def interval(self, level: float = 0.95) -> tuple[Any, Any]:
        """Confidence interval.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        low, high : ndarray or float
            Its ends.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level}.")
        reach = t.ppf(0.5 + 0.5 * level, self.df) * np.sqrt(self.variance)
        return self.estimate - reach, self.estimate + reach

    @property
    def missing_information(self) -> Any:
        """Share of the variance that is due to missing values (λ)."""
        with np.errstate(invalid="ignore"):
            return np.where(self.variance > 0.0, 1.0 - self.within / self.variance, 0.0)[()]


def pool(estimates: ArrayLike, variances: ArrayLike, *, df: float = np.inf) -> Pooled:
    """Combine the estimates from m completed tables by Rubin's rules.

    Parameters
    ----------
    estimates : array-like of shape (m, …)
        The same quantities estimated from each table, as if it were complete.
    variances : array-like of shape (m, …)
        Squared standard errors of the estimates, as if the table were complete.
    df : float, default=inf
        Degrees of freedom if nothing were missing (rows − parameters): small tables get wider intervals.

    Returns
    -------
    pooled : Pooled
        Estimate, variance and degrees of freedom, in the shape of one table's estimates.

    Raises
    ------
    ValueError
        With fewer than two tables, unequal shapes, values that are not finite, or negative variances.

    References
    ----------
    Rubin (1987), "Multiple imputation for nonresponse in surveys"; Barnard and Rubin (1999) for `df`.

    Examples
    --------
    >>> import fusem
    >>> pooled = fusem.pool([1.0, 1.2, 1.1], [0.04, 0.05, 0.04])
    >>> print(pooled.estimate.round(2), pooled.variance.round(4))
    1.1 0.0567
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if q.ndim == 0 or len(q) < 2:
        raise ValueError("pool needs the estimates of two tables at least, one after another.")
    if q.shape != u.shape:
        raise ValueError(f"estimates have shape {q.shape}, variances {u.shape}: they must agree.")
    if not (np.isfinite(q).all() and np.isfinite(u).all()):
        raise ValueError("estimates and variances must be finite.")
    if (u < 0.0).any():
        raise ValueError("variances must not be negative: they are squared standard errors.")
    if not df > 0.0:
        raise ValueError(f"df must be positive, got {df}.")
    m = len(q)
    within, between = u.mean(axis=0), q.var(axis=0, ddof=1)
    added = (1.0 + 1.0 / m) * between
    variance = within + added
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(variance > 0.0, added / variance, 0.0)
        pooled_df = (m - 1) / share**2
        if np.isfinite(df):
            observed = (df + 1.0) / (df + 3.0) * df * (1.0 - share)
            both = 1.0 / (1.0 / pooled_df + 1.0 / observed)
            pooled_df = np.where(share < 1.0, both, pooled_df)
    return Pooled(*(value[()] for value in (q.mean(axis=0), variance, within, between, pooled_df)))
