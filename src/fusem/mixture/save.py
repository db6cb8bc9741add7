"""A fitted mixture as a file: parameters and outcomes, as arrays and JSON."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusem.persist import save_model

FITTED = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted mixture; parameters that are no plain values (a RandomState) are left out."""
    check_is_fitted(model)
    model._model()  # says what is missing or does not fit together
    parameters: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, value in model.get_params().items():
        if value is None or isinstance(value, (bool, int, float, str)):
            parameters[name] = value
        elif isinstance(value, (np.integer, np.floating, np.bool_)):
            parameters[name] = value.item()
        elif name == "n_categories":
            parameters[name] = [int(number) for number in value]
        elif name.endswith("_init"):
            arrays[f"parameter/{name}"] = np.asarray(value, dtype=np.float64)
    if hasattr(model, "_reg"):
        arrays["reg"] = model._reg
    form, components = model._saved()
    arrays |= {"weights": model.weights_, **components}
    fitted = {name: getattr(model, name) for name in FITTED if hasattr(model, name)}
    if hasattr(model, "history_"):
        arrays |= {f"history/{name}": model.history_[name] for name in model.history_.dtype.names}
    if hasattr(model, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in model.feature_names_in_]
    if hasattr(model, "starts_"):
        fitted["starts_"] = [asdict(start) for start in model.starts_]
    header = {
        "model": type(model).__name__,
        **form,
        "parameters": parameters,
        "fitted": fitted,
    }
    save_model(path, header, arrays)
