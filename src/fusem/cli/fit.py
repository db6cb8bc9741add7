"""``fusem fit``: fit a mixture to a table."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from fusem.cli.em_options import (
    covariance_option,
    em_options,
    jobs_option,
    quiet_option,
    seed_in_words,
    seed_option,
)
from fusem.cli.examples import ExampleCommand
from fusem.cli.output import checked_path, output_option, replacing
from fusem.cli.source import columns_option, na_option, open_source, weights_option

STARTS = ("kmeans", "k-means++", "random", "random_from_data")


@click.command(
    cls=ExampleCommand,
    short_help="Fit a Gaussian mixture to a table.",
    examples=[
        "fusem fit table.parquet -k 8 -o model.npz",
        "fusem fit 'part-*.parquet' -k 8 --columns height,width --weights w",
        "fusem fit table.npy -k 3 --covariance diag --restarts 10 --seed 1",
        "fusem fit table.npy --start model.npz --tol 1e-6 -o better.npz",
        "fusem fit table.csv -k 3 --plot picture.png --json > result.json",
    ],
)
@click.argument("data")
@click.option("-k", "--components", type=click.IntRange(min=1), help="Number of components.")
@covariance_option
@columns_option
@na_option
@weights_option
@click.option(
    "--start",
    metavar="METHOD|MODEL",
    default="kmeans",
    show_default=True,
    help=f"Where to start: {', '.join(STARTS)}, or the file of a saved model, whose number of "
    "components, covariance form and columns are then the defaults.",
)
@em_options(1e-3, 100, "1e-6", least=0)
@seed_option
@jobs_option
@output_option((".npz",), "Save the model to this .npz file.", required=False)
@click.option(
    "--plot",
    "picture",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the model over the data: .png, .pdf or .svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
@quiet_option
def fit(
    data: str,
    components: int | None,
    covariance: str | None,
    columns: list[str] | None,
    na: list[str] | None,
    weights: str | None,
    start: str,
    restarts: int,
    tol: float,
    max_iter: int,
    reg_covar: float | Literal["auto"],
    seed: int,
    jobs: int,
    output: Path | None,
    picture: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit a Gaussian mixture to DATA.

    Prints a line per sweep (mean log-likelihood per row, its change, rows per second), then the
    components, and the information criteria AIC and BIC (lower is better).
    """
    if picture is not None:
        _check_picture(picture)
    settings, first = _start_settings(start, components, covariance)
    rows, weight_rows = open_source(data, columns, weights, model=first, na=na)
    # Only now: a mistake in the command is told at once, not after a second of imports.
    from fusem import GaussianMixture
    from fusem.cli.progress import sweep_lines

    model = GaussianMixture(
        **settings,
        tol=tol,
        max_iter=max_iter,
        n_init=restarts,
        reg_covar=reg_covar,
        random_state=seed,
        n_jobs=jobs,
    )
    began = time.perf_counter()
    with sweep_lines(n_starts=restarts, quiet=quiet, json=as_json) as report:
        model._fit(rows, sample_weight=weight_rows, on_iteration=report)
    seconds = time.perf_counter() - began
    record = _result(model, data, rows, weight_rows, seconds)
    try:
        if output is not None:
            model.save(output)
            record["model"] = str(output)
        if picture is not None:
            figure = _figure(model, rows, weight_rows, columns)
            with replacing(picture) as part:
                figure.savefig(part, format=picture.suffix[1:].lower(), dpi=150)
            record["picture"] = str(picture)
    finally:  # a full disk does not take the result of a long fit away
        _print_result(model, record, as_json)


def _start_settings(
    start: str, components: int | None, covariance: str | None
) -> tuple[dict[str, Any], Any]:
    """Turn --start, -k and --covariance into the estimator's arguments, and the model to start from."""
    if start in STARTS:
        if components is None:
            raise click.UsageError("Say how many components to fit, such as -k 3.")
        settings = {
            "n_components": components,
            "covariance_type": covariance or "full",
            "init_params": start,
        }
        return settings, None
    if not Path(start).is_file():
        raise click.UsageError(
            f"--start {start}: neither one of {', '.join(STARTS)} nor the file of a model."
        )
    from fusem.cli.model import gaussian_model

    first = gaussian_model(start)
    for option, given, kept in (
        ("-k", components, len(first.weights_)),
        ("--covariance", covariance, first.covariance_type),
    ):
        if given is not None and given != kept:
            raise click.UsageError(f"{option} {given}: the model to start from has {kept}.")
    settings = {
        "n_components": len(first.weights_),
        "covariance_type": first.covariance_type,
        "weights_init": first.weights_,
        "means_init": first.means_,
        "precisions_init": first.precisions_,
    }
    return settings, first


def _check_picture(picture: Path) -> None:
    """Refuse before the fit what could not be drawn after it."""
    from fusem.plot.style import require_matplotlib

    require_matplotlib()
    from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    checked_path(picture, [f".{kind}" for kind in ("png", "pdf", "svg") if kind in kinds])


def _result(model: Any, data: str, rows: Any, weight_rows: Any, seconds: float) -> dict[str, Any]:
    from fusem.cli.criteria import criteria
    from fusem.cli.summary import components_record

    history = model.history_
    return {
        "data": data,
        **criteria(model, rows, weight_rows),
        "converged": bool(model.converged_),
        "sweeps": int(model.n_iter_),
        "seconds": seconds,
        "seed": model.random_state if model.means_init is None else None,
        "model": None,
        "picture": None,
        **components_record(model),
        "history": [dict(zip(history.dtype.names, row.tolist(), strict=True)) for row in history],
        "starts": [asdict(start) for start in model.starts_],
    }


def _figure(model: Any, rows: Any, weight_rows: Any, chosen: list[str] | None) -> Any:
    from matplotlib.figure import Figure

    from fusem import plot
    from fusem.plot.view import separating_columns

    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    ax = figure.subplots()
    n_columns = model.means_.shape[1]
    drawn: tuple[int, ...] = (0,)
    if n_columns == 1:
        plot.density(model, rows, sample_weight=weight_rows, ax=ax)
    else:
        drawn = first, second = separating_columns(model)
        plot.ellipses(model, rows, columns=(first, second), ax=ax)
    if chosen is not None and rows.names is None:  # the model's own numbers begin at 0 again
        labels = [f"column {chosen[j]}" for j in drawn]
        ax.set(**dict(zip(("xlabel", "ylabel"), labels)))
    return figure


def _print_result(model: Any, record: dict[str, Any], as_json: bool) -> None:
    from fusem.cli.criteria import counted_rows
    from fusem.cli.report import print_json
    from fusem.cli.summary import print_components
    from fusem.cli.table import how_many, print_pairs

    if as_json:
        print_json(record)
        return
    state = "converged" if record["converged"] else "not converged"
    click.echo(
        f"\n{counted_rows(record)}, {how_many(record['n_columns'], 'column')}, "
        f"{how_many(record['components'], 'component')} ({record['covariance_type']}): "
        f"{state} after {how_many(record['sweeps'], 'sweep')}, {record['seconds']:.2f} s\n"
    )
    print_components(model)
    click.echo()
    pairs = [
        ("log-likelihood per row", f"{record['log_likelihood']:.9f}"),
        ("AIC", f"{record['aic']:.2f}"),
        ("BIC", f"{record['bic']:.2f}"),
    ]
    if model.means_init is None:
        pairs.append(("seed", seed_in_words(model)))
    pairs += [(name, record[name]) for name in ("model", "picture") if record[name]]
    print_pairs(pairs)
