"""The kernels of a mixture: the templates, bound to a family's tile kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

from fusem.kernels import masked_fill, missing_fill, missing_sweep, mixture_sweep, pruned_sweep
from fusem.kernels.masked import leave_out
from fusem.kernels.policy import Kernel, bind, once


class TileKernels(NamedTuple):
    """What a family computes of a tile of rows: helpers that every latent structure calls."""

    log_density: Any
    accumulate: Any
    log_density_missing: Any  # None where rows with missing values are not taken
    accumulate_missing: Any


class ByPattern(NamedTuple):
    """What a family computes of the rows of one pattern, where many have it: templates say more."""

    many_rows: Any
    observed: Any
    lead_back: Any
    expected_of_pattern: Any


class MixtureKernels(NamedTuple):
    """Kernels of one family."""

    sweep: Kernel  # rows to their statistic
    sweep_about: Kernel  # with sums about other means than those of the densities
    sweep_near: Kernel | None  # about a centre that all components share
    sweep_pruned: Kernel | None  # without the components that can have no share of a row
    sweep_missing: Kernel | None  # rows with missing values, where the family takes them
    evaluate: Kernel  # rows to log-densities, labels, responsibilities
    evaluate_missing: Kernel | None  # rows with missing values to the same
    fill_missing: Kernel | None  # what is missing to means or draws
    masked: bool  # whether missing values are left out one by one, whatever their pattern
    tile: TileKernels
    sums_read_scratch: bool  # whether `accumulate` reads what `log_density` left in the scratch


def mixture_kernels(
    name: str,
    log_density: Any,
    accumulate: Any,
    log_density_missing: Any = None,
    accumulate_missing: Any = None,
    only: Any = None,
    masked: bool = False,
    sums_read_scratch: bool = True,
    take_back: Any = None,
    near: tuple[Any, Any] | None = None,
    expected: Any = None,
    by_pattern: ByPattern | None = None,
) -> MixtureKernels:
    """Bind the templates to a family's tile kernels.

    Parameters
    ----------
    log_density_missing, accumulate_missing : helper, optional
        The same for rows with missing values, where the family takes them.
    only : helper, optional
        Where components can be taken one by one.
    masked : bool
        Whether the tile kernels for missing values take all rows, as the ordinary ones do; else those of a
        `missing_sweep`.
    sums_read_scratch : bool
        Whether `accumulate` reads what `log_density` left in the scratch.
    take_back : helper, optional
        Takes back what a sweep adds for the rounding of complete rows' constants, where the others have none.
    near : pair of helpers, optional
        `log_density` and `accumulate` about a centre that all components share, with operands of their own.
    expected : helper, optional
        Means of missing values, where the pattern matters.
    by_pattern : ByPattern, optional
        For patterns that many rows have, where the pattern matters.
    """
    tile = {"log_density": log_density, "accumulate": accumulate}
    pruned = None
    if only is not None:
        dense, pairs = (
            bind(mixture_sweep.sweep, **tile),
            bind(pruned_sweep.take_pairs, only=only, **tile),
        )
        pruned = Kernel(pruned_sweep.sweep, f"{name}_sweep_pruned", dense=dense, take_pairs=pairs)
    sweep_near = None
    if near is not None:
        about_centre = dict(zip(tile, near, strict=True))
        sweep_near = Kernel(mixture_sweep.sweep, f"{name}_sweep_near", **about_centre)
    template: Any = mixture_sweep
    sweep_missing = evaluate_missing = fill_missing = None
    missing = {"log_density": log_density_missing, "accumulate": accumulate_missing}
    if masked:
        missing["leave_out"] = leave_out
    else:
        template = missing_sweep
        missing = {f"{part}_missing": kernel for part, kernel in missing.items()}
        missing |= {"log_density": log_density, "accumulate": once(accumulate)}
        density = bind(missing_sweep.tile_density, **missing)
        missing |= {"tile_density": density}
        missing |= {} if by_pattern is None else by_pattern._asdict()
    if log_density_missing is not None:
        more = {} if masked else {"take_back": take_back}
        sweep_missing = Kernel(template.sweep, f"{name}_sweep_missing", **missing, **more)
        evaluate_missing = Kernel(template.evaluate, f"{name}_evaluate_missing", **missing)
        fill: Any = masked_fill.fill if masked else missing_fill.fill
        uses: dict[str, Any] = {"log_density": log_density_missing}
        if not masked:
            uses = missing | {"expected": expected}
        if masked or expected is not None:
            fill_missing = Kernel(fill, f"{name}_fill_missing", **uses)
    return MixtureKernels(
        sweep=Kernel(mixture_sweep.sweep, f"{name}_sweep", **tile),
        sweep_about=Kernel(
            mixture_sweep.sweep, f"{name}_sweep_about", recentre=log_density, **tile
        ),
        sweep_near=sweep_near,
        sweep_pruned=pruned,
        sweep_missing=sweep_missing,
        evaluate=Kernel(mixture_sweep.evaluate, f"{name}_evaluate", log_density=log_density),
        evaluate_missing=evaluate_missing,
        fill_missing=fill_missing,
        masked=masked,
        tile=TileKernels(log_density, accumulate, log_density_missing, accumulate_missing),
        sums_read_scratch=sums_read_scratch,
    )
