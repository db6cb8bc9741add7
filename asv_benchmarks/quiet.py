"""Fits of a fixed number of iterations, without the warning that they did not converge."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.exceptions import ConvergenceWarning


@contextmanager
def quietly() -> Iterator[None]:
    """Leave out the warning; any other is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fit_quietly(model: Any, X: Any, **more: Any) -> Any:
    """Fit, and return the model."""
    with quietly():
        return model.fit(X, **more)
