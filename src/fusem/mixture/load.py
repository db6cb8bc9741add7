"""Fitted mixtures to files and back."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np

from fusem.exceptions import FusemFileError
from fusem.persist import read_model, save_model

FITTED = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted mixture; parameters that are no plain values (a RandomState) are left out."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    parameters, arrays = {}, {}
    for name, value in model.get_params().items():
        if value is None or isinstance(value, (bool, int, float, str)):
            parameters[name] = value
        elif isinstance(value, (np.integer, np.floating, np.bool_)):
            parameters[name] = value.item()
        elif name.endswith("_init"):
            arrays[f"parameter/{name}"] = np.asarray(value, dtype=np.float64)
    form, stored = model._stored
    arrays |= {"weights": model.weights_, "means": model.means_, form: stored}
    fitted = {name: getattr(model, name) for name in FITTED if hasattr(model, name)}
    if hasattr(model, "history_"):
        arrays |= {f"history/{name}": model.history_[name] for name in model.history_.dtype.names}
    if hasattr(model, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in model.feature_names_in_]
    if hasattr(model, "starts_"):
        fitted["starts_"] = [asdict(start) for start in model.starts_]
    header = {
        "model": type(model).__name__,
        "form": form,
        "parameters": parameters,
        "fitted": fitted,
    }
    save_model(path, header, arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    model : GaussianMixture
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
    from fusem.mixture.gaussian import GaussianMixture

    header, arrays = read_model(path)
    try:
        if header["model"] != "GaussianMixture":
            raise ValueError(f"it holds a {header['model']!r}, which this version does not know")
        return _restore(GaussianMixture, header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise FusemFileError(
            f"{os.fspath(path)!r} is no model that can be used: {problem}. Save the model again."
        ) from problem


def _restore(cls: Any, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    from fusem.em.history import FIELDS, Start

    model = cls(**header["parameters"])
    inits = {name.split("/")[1]: a for name, a in arrays.items() if name.startswith("parameter/")}
    model.set_params(**inits)
    model._validate_params()
    model.weights_, model.means_ = arrays["weights"], arrays["means"]
    setattr(
        model,
        {"covariances": "covariances_"}.get(header["form"], "precisions_cholesky_"),
        arrays[header["form"]],
    )
    model._model()
    fitted = header["fitted"]
    for name in FITTED:
        if name in fitted:
            setattr(model, name, fitted[name])
    if "feature_names_in_" in fitted:
        model.feature_names_in_ = np.asarray(fitted["feature_names_in_"], dtype=object)
    if "starts_" in fitted:
        model.starts_ = [Start(**start) for start in fitted["starts_"]]
    if "history/iteration" in arrays:
        history = np.empty(len(arrays["history/iteration"]), dtype=FIELDS)
        for name in FIELDS.names or ():
            history[name] = arrays[f"history/{name}"]
        model.history_ = history
    return model
