"""What should be said of missing values: warnings about rows, pairs of columns and components."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from fusem.em.summary import Summary
from fusem.exceptions import FewRowsWarning, MissingValuesWarning, warn
from fusem.mixture.diagnose import ROUNDED, column_labels, counted
from fusem.mixture.support import ENOUGH

Array = NDArray[np.float64]


def missing_values(family: ModuleType, summary: Summary, names: NDArray[np.object_] | None) -> None:
    """Warn about rows without any value, and pairs of columns whose covariance nothing is known about."""
    missing = summary.missing
    if missing is None:
        return
    if missing.n_empty:
        warn(
            MissingValuesWarning,
            f"{missing.n_empty} of {summary.n_rows} rows have no value at all: they count as nothing.",
        )
    apart = np.argwhere(np.tril(~missing.together))
    if apart.size and family.MATRICES:
        pairs = [
            " and ".join(column_labels(np.array([j]), names) for j in (b, a)) for a, b in apart[:10]
        ]
        more = f", … ({len(apart)} pairs in all)" if len(apart) > len(pairs) else ""
        warn(
            MissingValuesWarning,
            f"These columns never have values in the same row: {', '.join(pairs)}{more}. "
            "Their covariances are not identified: they depend on the start, in which missing values are "
            "drawn independently. Use covariance_type='diag' or add rows with both.",
        )


def values_per_component(
    family: ModuleType,
    support: Array,
    told: NDArray[np.bool_],
    few: NDArray[np.bool_],
    names: NDArray[np.object_] | None,
) -> None:
    """Warn where a component's rows have hardly any value in a column.

    Parameters
    ----------
    support : ndarray of shape (K, d)
        Effective rows of each component that have a value in each column.
    told, few : ndarrays of bool, shapes (K,) and (d,)
        Components and columns of which others have said it.
    """
    lacking = np.argwhere((support < ENOUGH - ROUNDED) & ~told[:, None] & ~few)
    if not lacking.size:
        return
    pairs = [
        f"component {k} in {counted('column', np.array([j]), names)} ({support[k, j]:.2g})"
        for k, j in lacking[:10]
    ]
    more = f", … ({len(lacking)} in all)" if len(lacking) > len(pairs) else ""
    warn(
        FewRowsWarning,
        f"Hardly any row of a component has a value in some column: {', '.join(pairs)}{more}. In brackets "
        "stands how many effective rows have one. "
        f"{'Mean and covariance' if family.MATRICES else 'Mean and variance'} there rest on its other "
        "columns, the start and reg_covar. Use fewer components (n_components), or drop the column.",
    )
