"""The model a command is given: a file that holds a mixture of some kind."""

from __future__ import annotations

from typing import Any

import click


def n_columns_of(model: Any) -> int:
    """How many columns a fitted mixture or hidden Markov model has."""
    parameters = model._model()
    if hasattr(model, "transmat_"):
        return int(model._n_columns(parameters.components))
    return int(parameters.n_columns)


def gaussian_model(path: str) -> Any:
    """Load a Gaussian mixture; other models are a usage error."""
    import fusem
    from fusem.cli.saved import load_mixture

    model = load_mixture(path)
    if not isinstance(model, fusem.GaussianMixture):
        raise click.UsageError(
            f"{path} holds a {type(model).__name__}: this command takes a GaussianMixture. The others can be "
            "used with predict, score, sample and info, and in Python."
        )
    return model
