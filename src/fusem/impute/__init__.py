"""Imputation: missing values of a table filled in from a fitted mixture, once or several times."""

from __future__ import annotations

from fusem.impute.imputer import EMImputer
from fusem.impute.pool import Pooled, pool

__all__ = ["EMImputer", "Pooled", "pool"]
