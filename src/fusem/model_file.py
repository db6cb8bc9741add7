"""`load`: a model file back to the estimator that its header names."""

from __future__ import annotations

import os
from typing import Any

from fusem.exceptions import FusemFileError
from fusem.persist import read_model


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save` wrote: a mixture or a hidden Markov model.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    model : mixture or hidden Markov model
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
        if str(header["model"]).endswith("HMM"):
            from fusem.hmm.load import restored
        else:
            from fusem.mixture.load import restored
        return restored(header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise FusemFileError(
            f"{os.fspath(path)!r} is no model that can be used: {problem}. Save the model again."
        ) from problem
