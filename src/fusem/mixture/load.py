"""Files of fitted mixtures back to estimators."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fusem.em.history import FIELDS, StartRecord
from fusem.exceptions import FusemFileError
from fusem.mixture.categorical import CategoricalMixture
from fusem.mixture.gaussian import GaussianMixture
from fusem.mixture.multinomial import MultinomialMixture
from fusem.mixture.poisson import PoissonMixture
from fusem.mixture.save import FITTED
from fusem.persist import read_model

MODELS: dict[str, Any] = {
    model.__name__: model
    for model in (GaussianMixture, PoissonMixture, CategoricalMixture, MultinomialMixture)
}


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    model : GaussianMixture, PoissonMixture, CategoricalMixture or MultinomialMixture
        As it was saved, but for a `random_state` that was a generator.

    Raises
    ------
    FusemFileError
        If the file is truncated, foreign, damaged or from a newer version.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile, numpy as np, fusem
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = fusem.GaussianMixture(2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/model.npz")
    ...     again = fusem.load(folder + "/model.npz")
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    header, arrays = read_model(path)
    try:
        if header["model"] not in MODELS:
            raise ValueError(f"it holds a {header['model']!r}, which this version does not know")
        return _restore(MODELS[header["model"]], header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise FusemFileError(
            f"{os.fspath(path)!r} is no model that can be used: {problem}. Save the model again."
        ) from problem


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
