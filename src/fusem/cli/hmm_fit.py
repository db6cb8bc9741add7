"""``fusem hmm fit``: fit a hidden Markov model to sequences."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import click

from fusem.cli.em_options import (
    COVARIANCES,
    em_options,
    jobs_option,
    quiet_option,
    seed_in_words,
    seed_option,
)
from fusem.cli.examples import ExampleCommand
from fusem.cli.output import output_option
from fusem.cli.sequences import sequence_options, sequences_of
from fusem.cli.source import columns_option, na_option

FAMILIES = {
    "gaussian": "GaussianHMM",
    "poisson": "PoissonHMM",
    "categorical": "CategoricalHMM",
    "multinomial": "MultinomialHMM",
}

IN_OPTIONS = {  # what warnings call them
    "n_iter=": "--max-iter ",
    "tol=": "--tol ",
    "covars_prior=None": "--covars-prior 0",
    "(n_init, random_state, means_)": "(--restarts, --seed)",
}


@click.command(
    cls=ExampleCommand,
    short_help="Fit a hidden Markov model to sequences.",
    examples=[
        "fusem hmm fit series.npy -k 3 -o model.npz",
        "fusem hmm fit series.npy -k 3 --covariance full --lengths 1000,800,1200",
        "fusem hmm fit series.npy -k 3 --gaussians 2 --covariance full",
        "fusem hmm fit series.csv -k 2 --family poisson --columns visits --sequence patient",
        "fusem hmm fit series.parquet -k 4 --restarts 10 --seed 1 --json > result.json",
    ],
)
@click.argument("data")
@click.option("-k", "--states", type=click.IntRange(min=1), required=True, help="Number of states.")
@click.option(
    "--family",
    type=click.Choice(list(FAMILIES)),
    default="gaussian",
    show_default=True,
    help="What a state emits: numbers; counts, each column with a rate; one column of codes 0, 1, "
    "2, ...; or counts of symbols, one column each.",
)
@click.option(
    "--covariance",
    type=click.Choice(COVARIANCES),
    help="Form of the covariances of gaussian states.  [default: diag]",
)
@click.option(
    "--gaussians",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Gaussians that each gaussian state is a mixture of.",
)
@click.option(
    "--covars-prior",
    type=click.FloatRange(min=0),
    help="Weak prior of the variances of gaussian states: added to the squares of each one's rows, in the "
    "unit of the data, squared. 0 is maximum likelihood.  [default: 0.01, with --gaussians 0]",
)
@sequence_options
@columns_option
@na_option
@em_options(1e-2, 100, None, least=1, per="")
@seed_option
@jobs_option
@output_option((".npz",), "Save the model to this .npz file.", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
@quiet_option
def fit(
    data: str,
    states: int,
    family: str,
    covariance: str | None,
    gaussians: int,
    covars_prior: float | None,
    lengths: str | None,
    sequence: str | None,
    columns: list[str] | None,
    na: list[str] | None,
    restarts: int,
    tol: float,
    max_iter: int,
    seed: int,
    jobs: int,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit a hidden Markov model to the sequences in DATA.

    Prints a line per sweep (log-likelihood of all sequences, with a weak prior of the variances where
    states are gaussian, its change, rows per second), then the states, and the information criteria
    AIC and BIC (lower is better).
    """
    if covariance is not None and family != "gaussian":
        raise click.UsageError(f"--covariance {covariance}: {family} states have no covariances.")
    if gaussians > 1 and family != "gaussian":
        raise click.UsageError(f"--gaussians {gaussians}: {family} states have none.")
    if covars_prior is not None and (gaussians > 1 or family != "gaussian"):
        raise click.UsageError("--covars-prior is for gaussian states of one Gaussian.")
    settings: dict[str, Any] = {"n_iter": max_iter, "tol": tol, "n_jobs": jobs}
    estimator = FAMILIES[family]
    if family == "gaussian":
        settings["covariance_type"] = covariance or "diag"
    if covars_prior is not None:
        settings["covars_prior"] = covars_prior
        settings["min_covar"] = min(covars_prior, 1e-3)
    if gaussians > 1:
        estimator, settings["n_mix"] = "GMMHMM", gaussians
    given = sequences_of(data, columns, na, None, lengths, sequence)
    import fusem
    from fusem.cli.progress import sweep_lines

    value = "log-posterior" if estimator == "GaussianHMM" else "log-likelihood"
    began = time.perf_counter()
    with sweep_lines(n_starts=restarts, quiet=quiet, json=as_json, value=value) as report:
        model = getattr(fusem, estimator)(states, n_init=restarts, random_state=seed, **settings)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model._fit(given.rows, given.lengths, on_iteration=report)
    for warning in said:
        text = str(warning.message)
        for name, option in IN_OPTIONS.items():
            text = text.replace(name, option)
        warnings.warn(text, warning.category, stacklevel=2)
    record = _result(model, data, given, time.perf_counter() - began)
    try:
        if output is not None:
            model.save(output)
            record["model"] = str(output)
    finally:  # a full disk does not take the result of a long fit away
        _print_result(model, record, as_json)


def _result(model: Any, data: str, given: Any, seconds: float) -> dict[str, Any]:
    from fusem.cli.hmm_score import criteria
    from fusem.cli.states import states_record

    history = model.history_
    return {
        "data": data,
        "family": type(model).__name__,
        **criteria(model, *given),
        "converged": bool(model.converged_),
        "sweeps": int(model.n_iter_),
        "seconds": seconds,
        "seed": model.random_state,
        "model": None,
        **states_record(model),
        "history": [dict(zip(history.dtype.names, row.tolist(), strict=True)) for row in history],
    }


def _print_result(model: Any, record: dict[str, Any], as_json: bool) -> None:
    from fusem.cli.hmm_score import criteria_in_words
    from fusem.cli.report import print_json
    from fusem.cli.states import kind, print_states
    from fusem.cli.table import how_many, print_pairs

    if as_json:
        print_json(record)
        return
    state = "converged" if record["converged"] else "not converged"
    click.echo(
        f"\n{how_many(record['rows'], 'row')}, {how_many(record['n_columns'], 'column')}, "
        f"{kind(model)}: {state} after {how_many(record['sweeps'], 'sweep')}, "
        f"{record['seconds']:.2f} s\n"
    )
    print_states(model)
    click.echo()
    pairs = [*criteria_in_words(record), ("seed", seed_in_words(model))]
    if record["model"]:
        pairs.append(("model", record["model"]))
    print_pairs(pairs)
