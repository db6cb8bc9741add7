"""A hidden Markov model as a file: parameters, and what a fit left, as arrays and JSON."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fusem.hmm.monitor import ConvergenceMonitor
from fusem.persist import save_model

COMPONENTS = "components_"  # no array, but the parameters of any family
CHAIN = ("startprob_", "transmat_")
FITTED = ("n_features_in_", "n_iter_", "converged_")
MONITOR = ("tol", "n_iter", "verbose", "converged")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted model; parameters that are no plain values or numbers (a RandomState) are left out."""
    check_is_fitted(model)
    model._model()  # says what does not fit together
    parameters, arrays = parameters_of(model)
    for name, attribute in stored(model).items():
        if name != COMPONENTS:
            arrays[name] = np.asarray(getattr(model, attribute), dtype=np.float64)
    arrays |= model._component_arrays()
    fitted = {name: getattr(model, name) for name in FITTED if hasattr(model, name)}
    if hasattr(model, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in model.feature_names_in_]
    if hasattr(model, "history_"):
        arrays |= {f"history/{name}": model.history_[name] for name in model.history_.dtype.names}
    if isinstance(vars(model).get("monitor_"), ConvergenceMonitor):
        fitted["monitor_"] = {name: getattr(model.monitor_, name) for name in MONITOR}
        fitted["monitor_"]["converged"] = bool(model.monitor_.converged)
        arrays["monitor/history"] = np.array(model.monitor_.history, dtype=np.float64)
    header = {"model": type(model).__name__, "parameters": parameters, "fitted": fitted}
    save_model(path, header, arrays)


def stored(model: Any) -> dict[str, str]:
    """Arrays that are the model, by their names in the file, and the attributes that hold them."""
    cls = type(model)
    # covars_ is a property, made of what has the shape of the type
    return {
        name: f"_{name}" if hasattr(cls, name) else name
        for name in (*CHAIN, *model._emissions.values())
    }


def parameters_of(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Parameters that JSON holds, and those that are arrays (priors), by the name in the file."""
    plain, arrays = {}, {}
    for name, value in model.get_params().items():
        if value is None or isinstance(value, (bool, int, float, str)):
            plain[name] = value
        elif isinstance(value, (np.integer, np.floating, np.bool_)):
            plain[name] = value.item()
        elif isinstance(value, (np.ndarray, list, tuple)):
            array = np.asarray(value)
            arrays[f"parameter/{name}"] = (
                array if array.dtype.kind in "biu" else array.astype(float)
            )
    return plain, arrays
