"""``fusem info``: what a saved model is."""

from __future__ import annotations

from typing import Any

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.saved import is_hmm


@click.command(
    cls=ExampleCommand,
    short_help="Print what a model is.",
    examples=[
        "fusem info model.npz",
        "fusem info model.npz --json",
    ],
)
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, nothing else.")
def info(model: str, as_json: bool) -> None:
    """Print what MODEL is: its settings, how the fit ended, its components."""
    import fusem
    from fusem.cli.report import print_json
    from fusem.cli.summary import (
        columns_in_words,
        components_record,
        fit_record,
        print_components,
    )
    from fusem.cli.table import how_many, print_pairs

    fitted = fusem.load(model)
    if is_hmm(fitted):
        _print_hmm(model, fitted, as_json)
        return
    fitting = fit_record(fitted)
    if as_json:
        print_json({"model": model, **fitting, **components_record(fitted)})
        return
    size = how_many(len(fitted.weights_), "component")
    covariance = [fitted.covariance_type] if hasattr(fitted, "covariance_type") else []
    pairs = [
        ("model", ", ".join([type(fitted).__name__, size, *covariance])),
        ("columns", columns_in_words(fitted)),
    ]
    if fitting["sweeps"] is not None:
        state = "converged" if fitting["converged"] else "not converged"
        pairs.append(("fit", f"{state} after {how_many(fitting['sweeps'], 'sweep')}"))
    if (
        fitting["lower_bound"] is not None
    ):  # of the last sweep, after which the model moved once more
        value = f"{fitting['lower_bound']:.9f}"
        pairs.append(("", f"log-likelihood per row, before the last step: {value}"))
    print_pairs(pairs)
    click.echo()
    print_components(fitted)


def _print_hmm(path: str, fitted: Any, as_json: bool) -> None:
    from fusem.cli.report import print_json
    from fusem.cli.states import kind, print_states, states_record
    from fusem.cli.summary import fit_record, names_in_words
    from fusem.cli.table import how_many, print_pairs
    from fusem.plot.view import width

    fitting = fit_record(fitted)
    if as_json:
        family = type(fitted).__name__
        fitting.pop("lower_bound")
        print_json({"model": path, "family": family, **fitting, **states_record(fitted)})
        return
    pairs = [("model", kind(fitted)), ("columns", names_in_words(fitted, width(fitted)))]
    if fitting["sweeps"] is not None:
        state = "converged" if fitting["converged"] else "not converged"
        pairs.append(("fit", f"{state} after {how_many(fitting['sweeps'], 'sweep')}"))
    if history := list(fitted.monitor_.history):
        value = f"{history[-1]:.4f}"
        pairs.append(("", f"log-likelihood of all sequences, before the last step: {value}"))
    print_pairs(pairs)
    click.echo()
    print_states(fitted)
