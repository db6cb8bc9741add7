"""Rows with missing values filled in, by segments: by the kernels, or by NumPy where those cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows
from fusem.em.values import bad_value
from fusem.mixture.draws import Draws
from fusem.mixture.engine import Engine, Model, location
from fusem.mixture.evaluation import EXACT, NOTHING, Outcome
from fusem.mixture.far_rows import repair_far_rows
from fusem.mixture.regression import conditional_moments, drawn_values

Array = NDArray[np.float64]
NO_DRAWS = Draws(NOTHING, NOTHING)


class Completion:
    """What is expected of missing values given the observed ones of their rows, or draws."""

    def __init__(self, engine: Engine, model: Model) -> None:
        self.engine, self.model = engine, model
        self._operands, self._pass = engine.operands(model.components), engine.next_pass()
        self._moments = self._by_column() if engine.family.kernels.masked else []
        # compiles in this thread, where Ctrl-C can interrupt it
        nothing = np.empty((0, engine.d), dtype=engine.dtype)
        self._fill(nothing, NO_DRAWS, nothing)

    def complete(
        self, source: Rows, first: int, X: NDArray[Any], draws: Draws | None, values: NDArray[Any]
    ) -> None:
        """Copy a segment's rows, with conditional means, or draws, in place of missing values.

        Raises
        ------
        ValueError
            At an infinity.
        """
        left = self._fill(X, draws or NO_DRAWS, values)
        if left is None:
            row, column = (int(index) for index in np.argwhere(np.isinf(X))[0])
            raise bad_value(source, X[row, column], first + row, column)
        if not left.size:
            return
        blank = np.isnan(X[left]).all(axis=1)
        if blank.any():
            values[left[blank]] = self._blank_rows(draws, left[blank])
        if not blank.all():
            self._fill_far_rows(source, first, X, left[~blank], draws, values)

    def _fill(self, X: NDArray[Any], draws: Draws, values: NDArray[Any]) -> NDArray[np.intp] | None:
        """Copy and fill in by the kernel; rows that it leaves to Python, None at an infinity."""
        engine, left = self.engine, np.empty(len(X), dtype=np.intp)
        kernels, begun = engine.family.kernels, (self.model.log_weights, self._operands)
        kernel, out = kernels.fill_missing[engine.dtype], (*draws, values.reshape(-1), left)
        rows = (*location(X), engine.d)
        if kernels.masked:
            with engine.space(EXACT) as space:
                n_left = kernel(*rows, *begun, space, *self._moments, *out)
        else:
            with engine.space_for_missing(EXACT, fill=True) as missing_space:
                given = *begun, self._pass, engine.sorted_rows, missing_space
                n_left = kernel(*rows, *given, *out)
        return None if n_left < 0 else left[:n_left]

    def _by_column(self) -> list[Array]:
        """Means and standard deviations, (K · d), where columns are independent."""
        components = self.model.components
        moments = components[0], np.sqrt(self.engine.family.variances(components))
        # writeable: read-only arrays are another type, for which all would be compiled again
        return [np.array(some).ravel() for some in moments]

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

    def _blank_rows(self, draws: Draws | None, rows: NDArray[np.intp]) -> Array:
        """Values of rows of which nothing is known."""
        weights, components = self.model.weights / self.model.weights.sum(), self.model.components
        if draws is None:
            return np.asarray(weights @ components.means)
        chosen = np.searchsorted(np.cumsum(weights)[:-1], draws.uniform[rows], side="right")
        normal = draws.normal.reshape(-1, self.engine.d)[rows]
        return np.asarray(self.engine.family.unwhitened(components, chosen, normal))
