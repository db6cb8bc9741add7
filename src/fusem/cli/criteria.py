"""Log-likelihood, AIC and BIC of a model on data, from one pass over the rows."""

from __future__ import annotations

import math
from typing import Any


def criteria(model: Any, rows: Any, weights: Any) -> dict[str, Any]:
    """Score the rows once; the criteria follow from the total.

    Returns
    -------
    dict
        rows (how many), weight (the sum of theirs), log_likelihood (mean per row), parameters
        (how many are free), aic, bic.
    """
    total, weight, _ = model._totals(rows, weights)
    n_rows = rows.n_rows
    if n_rows is None:
        n_rows = sum(len(block) for block in rows.blocks()) if weights is not None else int(weight)
    free = model._n_parameters()
    return {
        "rows": n_rows,
        "weight": weight,
        "log_likelihood": total / weight,
        "parameters": free,
        "aic": -2.0 * total + 2.0 * free,
        "bic": -2.0 * total + free * math.log(weight),
    }
