"""A fit of counts or codes: what they are, where EM starts, which rows cannot be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.start import Start
from fusem.em.values import bad_value, column_name
from fusem.em.workers import Workers
from fusem.kernels.scan_counts import scan_counts
from fusem.kernels.simd import LANES
from fusem.kernels.tile import aligned, tile_rows
from fusem.mixture.engine import Model, location
from fusem.mixture.fitting import Fit, Fitted

Array = NDArray[np.float64]
SEGMENT = 16 * 1024  # rows that are looked at together
EXACT = {"float64": 2**53, "float32": 2**24}  # larger whole numbers are not all there


class CountSettings(NamedTuple):
    """What the user chose, checked."""

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init_params: str
    rng: np.random.RandomState
    weights_init: Array | None
    components_init: Array | None


class Values:
    """Which values are legal: whole numbers from 0 on, below a limit; NaN where they are missing.

    Parameters
    ----------
    rows : Rows
        Where they come from, for messages.
    what : str
        What they are: "count" or "code".
    limits : array of shape (d,), optional
        How many codes each column has.
    one_by_one : bool
        Whether values may be missing one by one; else only all of a row.
    """

    def __init__(
        self, rows: Rows, what: str, limits: NDArray[np.int64] | None, one_by_one: bool
    ) -> None:
        self.rows, self.what, self.limits, self.one_by_one = rows, what, limits, one_by_one
        exact = float(EXACT[rows.dtype.name])
        self.largest = np.full(rows.n_columns, exact) if limits is None else limits - 1.0
        self.largest = np.ascontiguousarray(self.largest)

    def hold(self, X: NDArray[Any]) -> bool:
        """Whether integers are all legal; False where that would take a closer look."""
        return not X.size or (X.min() >= 0 and float(X.max()) <= self.largest.min())

    def check(self, first: int, X: NDArray[Any]) -> bool:
        """Refuse a segment that begins at row `first` and has an illegal value; whether some are missing."""
        return self._look(first, X)[0]

    def _look(self, first: int, X: NDArray[Any]) -> tuple[bool, Array]:
        """`check`, and the largest value of each column, −1 where there is none."""
        d, rows = X.shape[1], tile_rows(X.shape[1], X.dtype)
        strip = 4 * LANES * 8 // X.dtype.itemsize
        tops = np.full(d * strip, -1.0, dtype=X.dtype)
        tile = aligned(d * rows, X.dtype)
        legal = scan_counts[X.dtype](*location(X), d, self.largest, tile, tops, rows)
        largest = tops.reshape(d, strip).max(axis=1).astype(np.float64)
        return not legal and self._illegal(first, X), largest

    def _illegal(self, first: int, X: NDArray[Any]) -> bool:
        """Refuse what is illegal; True where all of it is missing."""
        with np.errstate(invalid="ignore"):
            legal = (X >= 0.0) & (self.largest.astype(X.dtype) >= X) & (np.trunc(X) == X)
        holes = np.isnan(X)
        if not self.one_by_one:
            holes &= holes.all(axis=1, keepdims=True)
        wrong = ~(legal | holes)
        if wrong.any():
            wrong = X < 0.0 if (X < 0.0).any() else wrong
            row, column = (int(index) for index in np.argwhere(wrong)[0])
            raise self._problem(float(X[row, column]), first + row, column)
        return True

    def _problem(self, value: float, row: int, column: int) -> ValueError:
        place = f"row {row}, {column_name(self.rows, column)}"
        label, what = self.rows.label, self.what
        if np.isinf(value):
            return bad_value(self.rows, value, row, column)
        if np.isnan(value):
            return ValueError(
                f"Input {label} contains NaN at {place}: the total of a row with a missing count is not "
                "known. Drop such rows, make all of their counts NaN, or use Poisson counts, which may be "
                "missing one by one."
            )
        if value < 0.0 or value != np.trunc(value):
            kind = "Negative values in data" if value < 0.0 else "A fraction"
            return ValueError(
                f"{kind} where {what}s are wanted: {label} has {value:g} at {place}, but a {what} is "
                f"a whole number from 0 on. {REMEDY[what]}"
            )
        if self.limits is None:
            remedy = "Convert to float64 or divide" if self.rows.dtype == np.float32 else "Divide"
            return ValueError(
                f"Input {label} has the count {value:.17g} at {place}, which {self.rows.dtype} does not hold "
                f"exactly. {remedy} by a common unit."
            )
        M = int(self.limits[column])
        return ValueError(
            f"Input {label} has the code {value:g} at {place}: the column has {M} categories (codes 0 to "
            f"{M - 1}). Give larger n_categories (a CategoricalHMM has n_features), or correct the row."
        )

    def largest_codes(self, workers: Workers) -> NDArray[np.int64]:
        """Look at all rows once; the largest value of each column, −1 where there is none."""
        largest, lock = np.full(self.rows.n_columns, -1.0), threading.Lock()
        self._look(
            0, np.empty((0, self.rows.n_columns), dtype=self.rows.dtype)
        )  # compiles in this thread

        def work(segment: tuple[int, NDArray[Any], Any]) -> None:
            first, X, _ = segment
            own = self._look(first, X)[1]
            with lock:
                np.maximum(largest, own, out=largest)

        workers.run(segments(self.rows, None, SEGMENT), work)
        return largest.astype(np.int64)


REMEDY = {
    "count": "Round or clip the column, or fit it with a Gaussian model.",
    "code": "Number the categories of the column: np.unique(column, return_inverse=True).",
}


class CountFit(Fit):
    """A fit whose components are rates or probabilities: no covariance, nothing to regularise."""

    settings: Any

    def _check_size(self) -> None:
        n, K = self.summary.n_used, self.settings.n_components
        if n < K:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {K}, n_samples = {n}"
            )

    def _regularisation(self) -> None:
        return None

    def draw(self, number: int = 0) -> Model:
        """A start: parameters from drawn responsibilities, or the user's own."""
        s = self.settings
        weights, values = s.weights_init, s.components_init
        if weights is None or values is None:
            X, w = self.start_rows()
            start = Start(self._features(X), w, s.n_components, s.init_params, s.rng)
            if weights is None:
                counts = sum(resp.sum(axis=0) for _, resp, _ in start)
                counts = np.where(start.spare, 0.0, counts)
                weights = counts / counts.sum()
            if values is None:
                given = self.reg, start.spare, start.single_rows
                values = self.family.estimate(blocks_of(X, start), *given)[0]
        return Model(np.asarray(weights, dtype=np.float64), self.family.Params(values))

    def _features(self, X: NDArray[Any]) -> Array:
        """Rows as a start compares them; means where values are missing."""
        holes = np.isnan(X)
        features: Array = self.family.features(np.asarray(X, dtype=np.float64))
        if holes.any():
            features = features.reshape(*X.shape, -1)
            known = ~holes[:, :, None]
            total = np.where(known, features, 0.0).sum(axis=0)
            centre = total / np.maximum(known.sum(axis=0), 1)
            features = np.where(known, features, centre).reshape(len(X), -1)
        return features

    def _without_density(self) -> ValueError:
        return ValueError(
            f"A row of {self.rows.label} has probability 0 under every component that it is given to "
            "start from: rates and probabilities of exactly 0 stay so. Start from small positive ones."
        )

    def support(self, fitted: Fitted) -> None:
        """Rates and probabilities of a column without values are said by no other column."""

    def _check_usable(self, model: Model) -> None:
        """Whatever they are, they can be stored and used."""


def blocks_of(X: NDArray[Any], start: Start) -> Iterator[tuple[Array, Array, Array]]:
    """The rows themselves, in the blocks in which a start yields their features."""
    first = 0
    for _, resp, w in start:
        yield np.asarray(X[first : first + len(resp)], dtype=np.float64), resp, w
        first += len(resp)
