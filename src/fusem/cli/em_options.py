"""The options of a fit, alike in every command that fits."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

COVARIANCES = ("full", "tied", "diag", "spherical")


def covariance_option(command: Command) -> Command:
    """Add ``--covariance full``."""
    return click.option(
        "--covariance",
        type=click.Choice(COVARIANCES),
        help="Form of the covariances.  [default: full]",
    )(command)


def em_options(
    tol: float, max_iter: int, reg_covar: str | None, *, least: int, per: str = " per row"
) -> Callable[[Command], Command]:
    """Add ``--restarts``, ``--tol``, ``--max-iter`` (at least `least`); with a default ``--reg-covar``."""
    only_start = "; 0: only the start" if least == 0 else ""
    options = [
        click.option(
            "--restarts",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Fit from N starts and keep the best.",
        ),
        click.option(
            "--tol",
            type=click.FloatRange(min=0),
            default=tol,
            show_default=True,
            help=f"Stop when the log-likelihood{per} changes by less.",
        ),
        click.option(
            "--max-iter",
            type=click.IntRange(min=least),
            default=max_iter,
            show_default=True,
            help=f"Sweeps at most, for each start{only_start}.",
        ),
        click.option(
            "--reg-covar",
            metavar="NUMBER|auto",
            callback=_reg_covar,
            default=reg_covar,
            show_default=True,
            help="Added to every variance; auto: relative to each column's.",
        ),
    ]
    if reg_covar is None:
        options.pop()

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def drawn_seed() -> int:
    """A seed for what is to be repeatable though none was given."""
    return secrets.randbelow(2**31)


def seed_option(command: Command) -> Command:
    """Add ``--seed N``; one that is not given is drawn."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        callback=lambda context, parameter, value: drawn_seed() if value is None else value,
        help="Makes the start repeatable. Without it one is drawn, and told with the result.",
    )(command)


def seed_in_words(model: Any) -> str:
    """What a fitted model can be fitted with once more, and what may give a better one."""
    seed, alone = model.random_state, model.n_init == 1 and model.n_components > 1
    more = "; --restarts 10 keeps the best of 10 starts" if alone else ""
    return f"{seed} (--seed {seed} fits the same again{more})"


def jobs_option(command: Command) -> Command:
    """Add ``--jobs N``."""
    return click.option(
        "--jobs", type=int, default=-1, show_default=True, help="Threads; -1: one for each core."
    )(command)


def quiet_option(command: Command) -> Command:
    """Add ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="Print no line per sweep.")(command)


def _reg_covar(
    context: click.Context, parameter: click.Parameter, value: str
) -> float | Literal["auto"]:
    """Read a number that is not negative, or the word auto."""
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise click.BadParameter(f"{value} is neither a number >= 0 nor the word auto")
    return number
