"""The E-step for its own sake: densities, labels, responsibilities and missing values of every row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.values import check_weights
from fusem.em.workers import Workers
from fusem.kernels.fill_axes import fill_axes
from fusem.mixture.engine import Engine, Model, location
from fusem.mixture.far_rows import repair_far_rows
from fusem.mixture.regression import conditional_moments, drawn_values

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


class Draws(NamedTuple):
    """Random numbers for the missing values of some rows."""

    normal: Array  # (n · d) standard normal
    uniform: Array  # (n) in [0, 1)


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
    missing = Completion(engine, model, operands, fill=False)
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

    workers.run(segments(rows, weights, engine.segment_rows(rows, workers)), work)


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


class Completion:
    """The E-step of rows with missing values, and their missing values.

    Parameters
    ----------
    fill : bool
        Whether missing values are wanted.
    """

    def __init__(self, engine: Engine, model: Model, operands: Any, fill: bool) -> None:
        self.engine, self.model, self.operands, self.fill = engine, model, operands, fill
        self.begun = False
        self._pass = engine.next_pass()
        # writeable: read-only arrays are another type, for which all would be compiled again
        self._means = np.array(model.components[0]).ravel()
        if fill and not engine.family.kernels.evaluate_missing[engine.dtype].overloads:
            # compiles in this thread, where Ctrl-C can interrupt it
            nothing = np.empty(0, dtype=engine.dtype)
            out = NOTHING, np.empty(0, dtype=np.int64), nothing, nothing
            self._run(nothing.reshape(0, engine.d), (NOTHING, NOTHING), *out)

    def evaluate(self, X: NDArray[Any], outcome: Outcome) -> NDArray[np.bool_]:
        """Write what is wanted of some rows into an outcome; which of them have no value at all."""
        self.begun = True
        blank = without_value(np.isnan(X))
        nothing = np.empty(0, dtype=self.engine.dtype)
        self._run(X, (NOTHING, NOTHING), *outcome[:2], outcome.proba.reshape(-1), nothing)
        outcome.put(blank, 0.0, self.model)
        return blank

    def complete(
        self,
        source: Rows,
        first: int,
        X: NDArray[Any],
        missing: NDArray[np.bool_],
        draws: Draws | None,
        values: NDArray[Any],
    ) -> None:
        """Copy a segment, with conditional means, or draws, in place of missing values."""
        values[:], blank = X, without_value(missing)
        labels = np.zeros(len(X), dtype=np.int64)
        out = NOTHING, labels, np.empty(0, dtype=self.engine.dtype), values.reshape(-1)
        self._run(X, (NOTHING, NOTHING) if draws is None else draws, *out)
        if blank.any():
            values[blank] = self._blank_rows(draws, np.flatnonzero(blank))
        far = np.flatnonzero(labels < 0)
        if far.size:
            self._fill_far_rows(source, first, X, far, draws, values)

    def _fill_far_rows(
        self,
        source: Rows,
        first: int,
        X: NDArray[Any],
        far: NDArray[np.intp],
        draws: Draws | None,
        values: NDArray[Any],
    ) -> None:
        """Fill in rows whose distances overflow; an error where that is because of an infinity."""
        family, model, K = self.engine.family, self.model, self.engine.n_components
        proba, labels = np.empty((len(X), K)), np.empty(0, dtype=np.int64)
        outcome = Outcome(NOTHING, labels, proba, np.empty(0, dtype=bool))
        repair_far_rows(family, model, source, first, X, outcome, far)
        rows = X[far].astype(np.float64)
        if draws is None:
            values[far] = conditional_moments(family, model, rows, proba[far])[0]
        else:
            normal = draws.normal.reshape(-1, self.engine.d)[far]
            uniform = draws.uniform[far]
            values[far] = drawn_values(family, model, rows, proba[far], normal, uniform)

    def _run(
        self,
        X: NDArray[Any],
        draws: tuple[Array, Array],
        evidence: Array,
        labels: NDArray[np.int64],
        proba: NDArray[Any],
        values: NDArray[Any],
    ) -> None:
        """Run the kernel; an empty array is not wanted."""
        engine, log_weights = self.engine, self.model.log_weights
        kernel = engine.family.kernels.evaluate_missing[engine.dtype]
        rows, out = (*location(X), engine.d), (evidence, labels)
        if not engine.family.kernels.masked:
            with engine.space_for_missing(EXACT, self.fill) as space:
                given = log_weights, self.operands, self._pass, space, *draws, self._means
                kernel(*rows, *given, *out, proba, values)
            return
        if self.fill:
            proba = np.empty(len(X) * engine.n_components, dtype=engine.dtype)
        with engine.space(EXACT) as space:
            kernel(*rows, log_weights, self.operands, space, *out, proba)
        if self.fill:
            deviations = np.sqrt(engine.family.variances(self.model.components)).ravel()
            place = values.ctypes.data, len(X), engine.d
            fill_axes[engine.dtype](*place, proba, self._means, deviations, *draws, values)

    def _blank_rows(self, draws: Draws | None, rows: NDArray[np.intp]) -> Array:
        """Values of rows of which nothing is known."""
        weights, components = self.model.weights / self.model.weights.sum(), self.model.components
        if draws is None:
            return np.asarray(weights @ components.means)
        chosen = np.searchsorted(np.cumsum(weights)[:-1], draws.uniform[rows], side="right")
        normal = draws.normal.reshape(-1, self.engine.d)[rows]
        return np.asarray(self.engine.family.unwhitened(components, chosen, normal))
