"""How many rows tell a component of a column, where values are missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.summary import Summary
from fusem.em.workers import Workers
from fusem.mixture.engine import Engine, Model
from fusem.mixture.evaluation import NOTHING, IncompleteRows, Outcome, without_density
from fusem.mixture.far_rows import repair_far_rows

Array = NDArray[np.float64]
ENOUGH = 2.0  # effective rows with a value: with fewer there is no spread to see


def column_support(
    engine: Engine,
    model: Model,
    counts: Array,
    summary: Summary,
    rows: Rows,
    weights: Rows | None,
    workers: Workers,
) -> Array:
    """Effective rows of each component that have a value in each column, as far as they are few, (K, d).

    Σ r over the rows that observe a column is not among the sums of a sweep, where it would cost time at
    every iteration. It is counted here until all have enough, as a rule in a small part of the rows; what a
    component's rows cannot all miss needs no counting, nor do components with too few rows for anything.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        Σ r of each component.

    Returns
    -------
    support : ndarray of shape (K, d)
        Exact where it is less than ENOUGH and the component has rows and the column varies.
    """
    unit = summary.weight / summary.n_used
    least: Array = counts[:, None] - summary.weight * (1.0 - summary.observed)
    of_use = (counts >= engine.family.rows_needed(engine.d) * unit)[:, None] & (
        summary.variances > 0.0
    )
    enough = np.where(of_use, ENOUGH * unit, 0.0)
    if engine.n_components == 1 or (least >= enough).all():
        return least / unit
    return _Count(engine, model, enough).of(rows, weights, workers) / unit


class _Count:
    """Sums over rows that stop when all are at least `enough`, (K, d)."""

    def __init__(self, engine: Engine, model: Model, enough: Array) -> None:
        self._engine, self._model, self._enough = engine, model, enough
        self._incomplete = IncompleteRows(engine, model, engine.operands(model.components))
        self._sums, self._lock = np.zeros((engine.n_components, engine.d)), threading.Lock()

    def of(self, rows: Rows, weights: Rows | None, workers: Workers) -> Array:
        """Read rows as long as any sum is too small."""

        def work(segment: tuple[int, NDArray[Any], Array | None]) -> None:
            self._add(rows, *segment)

        length = self._engine.segment_rows(rows, workers)
        with closing(self._needed(rows, weights, length)) as needed:  # type: ignore[type-var]
            workers.run(needed, work)
        return self._sums

    def _needed(
        self, rows: Rows, weights: Rows | None, length: int
    ) -> Iterator[tuple[int, NDArray[Any], Array | None]]:
        with closing(segments(rows, weights, length)) as all_of_them:  # type: ignore[type-var]
            for segment in all_of_them:
                yield segment
                if (self._sums >= self._enough).all():
                    return

    def _add(self, rows: Rows, first: int, X: NDArray[Any], w: Array | None) -> None:
        n, K = len(X), self._engine.n_components
        labels, proba = np.empty(n, dtype=np.int64), np.empty((n, K), dtype=self._engine.dtype)
        outcome = Outcome(NOTHING, labels, proba, np.empty(0, dtype=bool))
        self._incomplete.evaluate(X, outcome)
        far = without_density(outcome)
        repair_far_rows(self._engine.family, self._model, rows, first, X, outcome, far)
        shares = proba.astype(np.float64) if w is None else proba * w[:, None]
        sums = shares.T @ ~np.isnan(X)
        with self._lock:
            self._sums += sums
