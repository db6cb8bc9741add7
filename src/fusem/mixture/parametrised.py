"""What a concrete mixture gives to the parts all share: family, parameters, what their methods begin with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from sklearn.utils.validation import check_is_fitted

from fusem.data import Rows
from fusem.mixture.engine import Check, Model
from fusem.mixture.source import rows_to_use


class Ready(NamedTuple):
    """What a method of a fitted model begins with: the rows, opened, and the model, checked."""

    rows: Rows
    model: Model


class Parametrised(ABC):
    """A model with a family, whose parameters can be read and set."""

    n_jobs: int | None
    random_state: Any
    weights_: Any
    _components_name: ClassVar[str]  # of the attribute that says the model is fitted

    @property
    @abstractmethod
    def _family(self) -> Any:
        """The family of the components."""

    @abstractmethod
    def _model(self) -> Model:
        """The parameters as they stand in the attributes."""

    def _ready(self, X: Any) -> Ready:
        """Once per call: to factorise covariances takes longer than few rows do."""
        check_is_fitted(self)
        model = self._model()
        return Ready(rows_to_use(self, X, model.n_columns), model)

    @abstractmethod
    def _set_model(self, model: Model) -> None:
        """Put parameters into the attributes."""

    @abstractmethod
    def _saved(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters of the components for a file: what goes into its header, and arrays."""

    @abstractmethod
    def _restore(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Put what `_saved` gave into the attributes."""

    def _check(self, rows: Rows) -> Check | None:
        """What to hold values against before they are used; nothing if any number will do."""
        return None
