"""What a concrete mixture gives to the parts all mixtures share: its family and its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

from fusem.mixture.engine import Model


class Parametrised(ABC):
    """A model with a family, whose parameters can be read and set."""

    n_jobs: int | None
    random_state: Any
    reg_covar: float | str
    weights_: Any
    means_: Any

    @property
    @abstractmethod
    def _family(self) -> ModuleType:
        """The family module of the components."""

    @abstractmethod
    def _model(self) -> Model:
        """The parameters as they stand in the attributes."""

    @abstractmethod
    def _set_model(self, model: Model) -> None:
        """Put parameters into the attributes."""
