"""``fusem impute``: fill in missing values."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from fusem.cli.em_options import (
    covariance_option,
    drawn_seed,
    em_options,
    jobs_option,
    quiet_option,
)
from fusem.cli.examples import ExampleCommand
from fusem.cli.output import TABLES, InOrder, TableWriter, output_option
from fusem.cli.source import (
    columns_option,
    model_and_data,
    na_option,
    source_of,
    told_apart,
    weights_option,
)

OF_A_FIT = (
    "components", "covariance", "weights", "restarts", "tol", "max_iter", "reg_covar", "imputations",
)  # fmt: skip


@click.command(
    cls=ExampleCommand,
    short_help="Fill in missing values.",
    examples=[
        "fusem impute table.parquet -o complete.parquet",
        "fusem impute table.csv -k 3 --columns height,weight --na n.d. -o complete.csv",
        "fusem impute table.csv --imputations 20 --seed 1 -o complete-{}.csv",
        "fusem impute model.npz new.csv --sample --seed 1 -o complete.csv",
    ],
)
@model_and_data
@output_option(
    TABLES,
    "Where to write: .npy, .parquet or .csv; with several imputations {} stands for their numbers, from 0.",
    required=True,
)
@click.option(
    "-k",
    "--components",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of components of the mixture that is fitted.",
)
@covariance_option
@click.option(
    "--sample", is_flag=True, help="Draw values at random instead of taking what is expected."
)
@click.option(
    "--imputations",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="M",
    help="Write M tables of drawn values, each from a mixture fitted to a bootstrap sample.",
)
@columns_option
@na_option
@weights_option
@click.option(
    "--only-used",
    is_flag=True,
    help="Write only the columns that are used.",
)
@em_options(1e-6, 1000, "auto", least=1)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Makes start and draws repeatable. Where either is by chance, one is drawn without it, and told.",
)
@jobs_option
@quiet_option
@click.pass_context
def impute(
    context: click.Context,
    sources: tuple[str, ...],
    output: Path,
    components: int,
    covariance: str | None,
    model: str | None,
    sample: bool,
    imputations: int,
    columns: list[str] | None,
    na: list[str] | None,
    weights: str | None,
    only_used: bool,
    restarts: int,
    tol: float,
    max_iter: int,
    reg_covar: float | Literal["auto"],
    seed: int | None,
    jobs: int,
    quiet: bool,
) -> None:
    """Write DATA with missing values (NaN, null, an empty field) filled in.

    A Gaussian mixture is fitted to what was observed, or taken from a file, MODEL. A missing value becomes
    its mean given the other values of its row. Columns that are not used (--columns) are written as
    they are, in their places; from a .csv to a .parquet file as text. Memory does not grow with
    DATA, and a file appears only when it is complete.
    """
    model, data = told_apart(sources, model)
    outputs = _outputs(output, imputations, data, model)
    if model is not None:
        _refuse(context)
    told = None
    if seed is None and (sample or imputations > 1 or (model is None and components > 1)):
        seed = told = drawn_seed()
    import fusem
    from fusem.cli.model import gaussian_model

    fitted = None if model is None else gaussian_model(model)
    source = source_of(data, columns, weights, fitted, na)
    if fitted is not None:
        fitted.set_params(n_jobs=jobs)
        seeds: list[int | None] = [fitted._seed(seed) if sample else None]
        mixtures = [fitted]
    else:
        imputer = fusem.EMImputer(
            components,
            covariance_type=covariance or "full",
            sample_posterior=sample or imputations > 1,
            n_imputations=imputations,
            tol=tol,
            reg_covar=reg_covar,
            max_iter=max_iter,
            n_init=restarts,
            random_state=seed,
            n_jobs=jobs,
        )
        _fit(imputer, source, quiet)
        mixtures = imputer.mixtures_
        seeds = [None]
        if imputer.sample_posterior:
            seeds = [
                fitted._seed(one) for fitted, one in zip(mixtures, imputer._seeds, strict=True)
            ]
    for mixture, number, path in zip(mixtures, seeds, outputs, strict=True):
        _write(mixture, number, data, source, path, only_used)
    if told is not None:
        click.echo(f"--seed {told} fills in the same again")


def _outputs(output: Path, imputations: int, data: str, model: str | None) -> list[Path]:
    """The files to write, none of which is read."""
    from fusem.data.files import reads_from

    if imputations > 1 and "{}" not in output.name:
        raise click.UsageError(
            f"{output} is one file for {imputations} tables: put {{}} where their numbers shall stand."
        )
    paths = [output]
    if imputations > 1:
        names = [output.name.replace("{}", str(number)) for number in range(imputations)]
        paths = [output.with_name(name) for name in names]
    for path in paths:
        if reads_from(data, path) or (model and path.resolve() == Path(model).resolve()):
            raise click.UsageError(f"{path} is read for this: write to another file.")
    return paths


def _refuse(context: click.Context) -> None:
    """Refuse options of a fit beside a model."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in OF_A_FIT and given is ParameterSource.COMMANDLINE:
            option = min(parameter.opts, key=len)
            raise click.UsageError(f"{option} belongs to a fit; a model is fitted already.")


def _fit(imputer: Any, source: Any, quiet: bool) -> None:
    from fusem.cli.progress import sweep_lines
    from fusem.cli.table import how_many

    with sweep_lines(n_starts=imputer.n_init, quiet=quiet, json=False) as report:

        def tell(number: int, mixture: Any) -> None:
            done = f"{number + 1} of {imputer.n_imputations}"
            report(f"imputation {done}: {how_many(mixture.n_iter_, 'sweep')}")

        imputer._fit(source.rows, None, source.weights, report, tell)


def _write(
    mixture: Any, seed: int | None, data: str, source: Any, path: Path, only_used: bool
) -> None:
    from fusem.cli.kept_columns import kept_columns
    from fusem.cli.progress import row_bar

    rows = source.rows
    with (
        kept_columns(data, source, path.suffix.lower(), only_used) as kept,
        TableWriter(path, kept.names) as writer,
        row_bar("imputing", rows.n_rows) as advance,
    ):

        def write(block: Any) -> None:
            writer.write(kept.merged(block))
            advance(len(block))

        mixture._complete(mixture._ready(rows), seed, InOrder(write).put)
    click.echo(f"{writer.rows:,} rows written to {path}")
