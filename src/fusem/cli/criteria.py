"""Log-likelihood, AIC and BIC of a model on data, from one pass over the rows."""

from __future__ import annotations

import math
from typing import Any

from fusem.cli.table import how_many


def criteria(model: Any, rows: Any, weights: Any) -> dict[str, Any]:
    """Score the rows once; the criteria follow from the total.

    Returns
    -------
    dict
        rows (how many have a value), rows_without_value (how many more have none and do not count), weight
        (the sum of theirs, or their number), log_likelihood (mean per row, per unit of weight), parameters
        (how many are free), aic, bic.
    """
    totals = model._totals(rows, weights)
    free = model._n_parameters()
    return {
        "rows": totals.n_rows,
        "rows_without_value": totals.n_empty,
        "weight": totals.weight,
        "log_likelihood": totals.log_likelihood / totals.weight,
        "parameters": free,
        "aic": -2.0 * totals.log_likelihood + 2.0 * free,
        "bic": -2.0 * totals.log_likelihood + free * math.log(totals.weight),
    }


def counted_rows(record: dict[str, Any]) -> str:
    """How many rows a record is of, and how many more do not count."""
    empty = record["rows_without_value"]
    left_out = f" ({empty:,} more without any value)" if empty else ""
    return f"{how_many(record['rows'], 'row')}{left_out}"
