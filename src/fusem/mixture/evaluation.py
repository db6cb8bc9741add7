"""The E-step for its own sake: densities, labels and responsibilities of every row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows
from fusem.em.values import check_weights
from fusem.em.workers import Workers
from fusem.mixture.engine import Engine, Model, location
from fusem.mixture.far_rows import repair_far_rows

Array = NDArray[np.float64]
EXACT = np.dtype(np.float64)  # of log-densities, whatever the dtype of the rows
NOTHING = np.empty(0)


class Outcome(NamedTuple):
    """What the E-step says of a segment's rows; arrays that were not wanted are empty."""

    evidence: Array  # (n,) log density of the mixture
    labels: NDArray[np.int64]  # (n,) most probable component
    proba: NDArray[Any]  # (n, K) responsibilities, dtype of the rows
    blank: NDArray[np.bool_]  # (n,) rows without any value, or empty where all have one

    def put(self, rows: NDArray[Any], evidence: float, model: Model) -> None:
        """Rows that say nothing of their component: what was known before, and their log-density."""
        for values, prior in (
            (self.evidence, evidence),
            (self.labels, np.argmax(model.weights)),
            (self.proba, model.weights / model.weights.sum()),
        ):
            if len(values):
                values[rows] = prior


Consumer = Callable[[int, Array | None, Outcome], None]
Room = Callable[[int, int, np.dtype[Any]], NDArray[Any]]


def evaluate(
    engine: Engine,
    model: Model,
    rows: Rows,
    weights: Rows | None,
    workers: Workers,
    wanted: frozenset[str],
    consume: Consumer,
    room: Room | None = None,
) -> None:
    """Give ``consume(first_row, w, outcome)`` every segment, in any order and from any thread.

    Parameters
    ----------
    wanted : set of {"evidence", "labels", "proba"}
        What to compute; what is not wanted is empty in the outcome.
    room : function, optional
        ``room(first_row, n_rows, dtype)`` is memory to write responsibilities to.
    """
    operands = engine.operands(model.components)
    complete = engine.family.kernels.evaluate[engine.dtype]
    nothing = NOTHING, np.empty(0, dtype=np.int64), np.empty(0, dtype=engine.dtype)
    if not complete.overloads:
        with engine.space(EXACT) as space:
            complete(0, 0, 0, 0, engine.d, model.log_weights, operands, space, *nothing)
    missing = IncompleteRows(engine, model, operands)
    proba = "proba" in wanted

    def work(segment: tuple[int, NDArray[Any], Array | None]) -> None:
        first, X, w = segment
        if w is not None:
            check_weights(w, first)
        holes = engine.check is not None and engine.check(first, X)
        n = len(X)
        shares = None if room is None else room(first, n, engine.dtype)
        if shares is None or np.may_share_memory(shares, X):  # rows may be read again
            shares = np.empty((n if proba else 0, engine.n_components), dtype=engine.dtype)
        outcome = Outcome(
            np.empty(n if "evidence" in wanted else 0),
            np.empty(n if "labels" in wanted or proba else 0, dtype=np.int64),
            shares,
            np.empty(0, dtype=bool),
        )
        if not (holes or missing.begun):
            with engine.space(EXACT) as space:
                flat = outcome.proba.reshape(-1)
                given = model.log_weights, operands, space
                complete(*location(X), engine.d, *given, *outcome[:2], flat)
        if holes or missing.begun or np.isnan(X[without_density(outcome)]).any():
            outcome = outcome._replace(blank=missing.evaluate(X, outcome))
        left = without_density(outcome)
        if engine.family.CENTRED:
            repair_far_rows(engine.family, model, rows, first, X, outcome, left)
        elif left.size:
            outcome.put(left, -np.inf, model)
        consume(first, w, outcome)

    bytes_per_row = sum(8 for name in ("evidence", "labels") if name in wanted or proba)
    if proba and room is None:
        bytes_per_row += engine.n_components * engine.dtype.itemsize
    workers.run(engine.segments(rows, weights, workers, bytes_per_row), work)


def without_density(outcome: Outcome) -> NDArray[np.intp]:
    """Rows whose log-density is no finite number."""
    bad = np.zeros(max(outcome.labels.size, outcome.evidence.size), dtype=bool)
    if outcome.labels.size:
        bad |= outcome.labels < 0
    if outcome.evidence.size:
        bad |= ~np.isfinite(outcome.evidence)
    return np.flatnonzero(bad)


def without_value(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows (n, d) have no value at all; a whole pass along short rows takes longer than an E-step."""
    blank = np.zeros(len(missing), dtype=bool)
    some = np.flatnonzero(missing[:, 0] & missing[:, -1])
    blank[some] = missing[some].all(axis=1)
    return blank


class IncompleteRows:
    """The E-step of rows with missing values."""

    def __init__(self, engine: Engine, model: Model, operands: Any) -> None:
        self.engine, self.model, self.operands = engine, model, operands
        self.begun = False
        self._pass = engine.next_pass()

    def evaluate(self, X: NDArray[Any], outcome: Outcome) -> NDArray[np.bool_]:
        """Write what is wanted of some rows into an outcome; which of them have no value at all."""
        self.begun = True
        engine, log_weights = self.engine, self.model.log_weights
        kernel = engine.family.kernels.evaluate_missing[engine.dtype]
        rows, out = (*location(X), engine.d), (*outcome[:2], outcome.proba.reshape(-1))
        if engine.family.kernels.masked:
            with engine.space(EXACT) as space:
                kernel(*rows, log_weights, self.operands, space, *out)
        else:
            with engine.space_for_missing(EXACT) as space:
                given = self._pass, engine.sorted_rows, space
                kernel(*rows, log_weights, self.operands, *given, *out)
        blank = without_value(np.isnan(X))
        outcome.put(blank, 0.0, self.model)
        return blank
