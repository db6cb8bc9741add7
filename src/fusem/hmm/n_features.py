"""`n_features`, the name that hmmlearn has for the number of columns."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any


class ColumnCount:
    """Gives `n_features`, which follows from the parameters of the states."""

    @abstractmethod
    def _emission(self) -> Any: ...

    @abstractmethod
    def _n_columns(self, components: Any) -> int: ...

    @property
    def n_features(self) -> int:
        """Number of columns. It may be assigned, as models that are put together by hand often do."""
        return self._n_columns(self._emission())

    @n_features.setter
    def n_features(self, number: int) -> None:
        found = getattr(self, "n_features", number)
        if number != found:
            raise ValueError(
                f"n_features={number}, but the parameters of the states have {found} columns."
            )
