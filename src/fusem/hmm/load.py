"""Files of hidden Markov models back to estimators, what they hold checked."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from fusem.em.history import FIELDS
from fusem.hmm.any_family import HMM
from fusem.hmm.base import BaseHMM
from fusem.hmm.categorical import CategoricalHMM
from fusem.hmm.gaussian import GaussianHMM
from fusem.hmm.gaussian_mixture import GMMHMM
from fusem.hmm.monitor import ConvergenceMonitor
from fusem.hmm.multinomial import MultinomialHMM
from fusem.hmm.poisson import PoissonHMM
from fusem.hmm.save import COMPONENTS, FITTED, stored

MODELS: dict[str, type[BaseHMM]] = {
    cls.__name__: cls
    for cls in (CategoricalHMM, GaussianHMM, GMMHMM, HMM, MultinomialHMM, PoissonHMM)
}


def restored(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> BaseHMM:
    """The model of a file's header and arrays.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        Where they are no such model: parts are missing, or do not fit together.
    """
    name = header["model"]
    if name not in MODELS:
        raise ValueError(f"it holds a {name!r}, which this version does not know")
    model = MODELS[name](**header["parameters"])
    priors = {name.split("/")[1]: a for name, a in arrays.items() if name.startswith("parameter/")}
    model.set_params(**priors)
    model._validate_params()
    for name, attribute in stored(model).items():
        if name == COMPONENTS:
            continue
        setattr(model, attribute, _numbers(name, arrays[name]))
    components = {name: a for name, a in arrays.items() if name.startswith("components/")}
    model._set_component_arrays({name: _numbers(name, a) for name, a in components.items()})
    n_columns = model._n_columns(model._model().components)
    if n_columns < 1:
        raise ValueError("its states have no column")
    _restore_fit(model, header["fitted"], arrays, n_columns)
    return model


def _restore_fit(
    model: Any, fitted: dict[str, Any], arrays: dict[str, np.ndarray], n_columns: int
) -> None:
    """What a fit left, as far as the file has it."""
    for name in FITTED:
        if name in fitted:
            if not isinstance(fitted[name], int):
                raise TypeError(f"{name} is {fitted[name]!r}, no whole number")
            setattr(model, name, fitted[name])
    if "feature_names_in_" in fitted:
        model.feature_names_in_ = np.asarray(fitted["feature_names_in_"], dtype=object)
    for name, length in (
        ("n_features_in_", getattr(model, "n_features_in_", n_columns)),
        ("feature_names_in_", len(getattr(model, "feature_names_in_", range(n_columns)))),
    ):
        if length != n_columns:
            raise ValueError(f"{name} is for {length} columns, the states for {n_columns}")
    if "history/iteration" in arrays:
        history = np.empty(len(arrays["history/iteration"]), dtype=FIELDS)
        for name in FIELDS.names or ():
            history[name] = arrays[f"history/{name}"]
        model.history_ = history
    if "monitor_" in fitted:
        settings = dict(fitted["monitor_"])
        converged = bool(settings.pop("converged"))
        monitor = ConvergenceMonitor(**settings)
        monitor._given = model.tol, model.n_iter
        monitor.history = deque(map(float, arrays["monitor/history"]))
        monitor.converged = converged
        model.monitor_ = monitor


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != np.float64 or not np.isfinite(values).all():
        raise ValueError(f"{name} holds what is no finite number of float64")
    return values
