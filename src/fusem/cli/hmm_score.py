"""``fusem hmm score``: how well a hidden Markov model explains sequences."""

from __future__ import annotations

import math
from typing import Any

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.saved import load_hmm
from fusem.cli.sequences import in_words, sequence_options, sequences_of
from fusem.cli.source import both_told, columns_option, model_and_data, na_option


@click.command(
    cls=ExampleCommand,
    short_help="Print how well a model explains sequences.",
    examples=[
        "fusem hmm score model.npz held-out.npy",
        "fusem hmm score model.npz held-out.parquet --sequence patient --json",
    ],
)
@model_and_data
@sequence_options
@columns_option
@na_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
def score(
    sources: tuple[str, ...],
    model: str | None,
    lengths: str | None,
    sequence: str | None,
    columns: list[str] | None,
    na: list[str] | None,
    as_json: bool,
) -> None:
    """Print the log-likelihood of DATA under a model, with AIC and BIC (lower is better)."""
    from fusem.cli.report import print_json
    from fusem.cli.table import print_pairs

    model, data = both_told(sources, model)
    fitted = load_hmm(model)
    given = sequences_of(data, columns, na, fitted, lengths, sequence)
    record = criteria(fitted, *given)
    if as_json:
        print_json({"model": model, "data": data, **record})
        return
    print_pairs([("rows", f"{record['rows']:,}"), *criteria_in_words(record)])


def criteria(model: Any, rows: Any, lengths: Any) -> dict[str, Any]:
    """Log-likelihood of all sequences, AIC and BIC, from one pass."""
    evidence, _, observations = model._smoothed(rows, lengths, what=None)
    total, free = float(evidence.sum()), model._n_parameters()
    return {
        "rows": observations.n_rows,
        "sequences": len(observations.lengths),
        "shortest_sequence": int(observations.lengths.min()),
        "longest_sequence": int(observations.lengths.max()),
        "log_likelihood": total,
        "parameters": free,
        "aic": -2.0 * total + 2.0 * free,
        "bic": -2.0 * total + free * math.log(observations.n_rows),
    }


def criteria_in_words(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The same as names and texts."""
    return [
        ("sequences", in_words(record)),
        ("log-likelihood", f"{record['log_likelihood']:.4f}"),
        ("log-likelihood per row", f"{record['log_likelihood'] / record['rows']:.9f}"),
        ("AIC", f"{record['aic']:.2f}"),
        ("BIC", f"{record['bic']:.2f}"),
    ]
