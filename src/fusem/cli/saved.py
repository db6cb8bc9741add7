"""Saved models, of the kind that a command works with."""

from __future__ import annotations

from typing import Any

import click


def load_mixture(path: str) -> Any:
    """Load a mixture; a hidden Markov model is a misuse that is told with its remedy."""
    import fusem

    model = fusem.load(path)
    if is_hmm(model):
        raise click.UsageError(
            f"{path} is a {type(model).__name__}, no mixture: its commands are those of fusem hmm."
        )
    return model


def load_hmm(path: str) -> Any:
    """Load a hidden Markov model; a mixture is a misuse that is told with its remedy."""
    import fusem

    model = fusem.load(path)
    if not is_hmm(model):
        raise click.UsageError(
            f"{path} is a {type(model).__name__}, no hidden Markov model: its commands are fusem "
            "predict and fusem score."
        )
    return model


def is_hmm(model: Any) -> bool:
    """Whether a model is a hidden Markov model."""
    return hasattr(model, "transmat_")
