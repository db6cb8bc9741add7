"""Files of fitted mixtures back to estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusem.em.history import FIELDS, StartRecord
from fusem.mixture.categorical import CategoricalMixture
from fusem.mixture.gaussian import GaussianMixture
from fusem.mixture.multinomial import MultinomialMixture
from fusem.mixture.poisson import PoissonMixture
from fusem.mixture.save import FITTED

MODELS: dict[str, Any] = {
    model.__name__: model
    for model in (GaussianMixture, PoissonMixture, CategoricalMixture, MultinomialMixture)
}


def restored(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """The mixture of a file's header and arrays.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        Where they are no such model: parts are missing, or do not fit together.
    """
    if header["model"] not in MODELS:
        raise ValueError(f"it holds a {header['model']!r}, which this version does not know")
    return _restore(MODELS[header["model"]], header, arrays)


def _restore(cls: Any, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    model = cls(**header["parameters"])
    inits = {name.split("/")[1]: a for name, a in arrays.items() if name.startswith("parameter/")}
    model.set_params(**inits)
    model._validate_params()
    model.weights_ = arrays["weights"]
    model._restore(header, arrays)
    model._model()
    if "reg" in arrays:
        model._reg = arrays["reg"]
    fitted = header["fitted"]
    for name in FITTED:
        if name in fitted:
            setattr(model, name, fitted[name])
    if "feature_names_in_" in fitted:
        model.feature_names_in_ = np.asarray(fitted["feature_names_in_"], dtype=object)
    if "starts_" in fitted:
        model.starts_ = [StartRecord(**start) for start in fitted["starts_"]]
    if "history/iteration" in arrays:
        history = np.empty(len(arrays["history/iteration"]), dtype=FIELDS)
        for name in FIELDS.names or ():
            history[name] = arrays[f"history/{name}"]
        model.history_ = history
    return model
