"""The kernels of a mixture: the templates, bound to a family's tile kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

from fusem.kernels import missing_sweep, mixture_sweep, pruned_sweep
from fusem.kernels.policy import Kernel, bind


class MixtureKernels(NamedTuple):
    """Kernels of one family."""

    sweep: Kernel  # rows to their statistic
    sweep_about: Kernel  # with sums about other means than those of the densities
    sweep_pruned: Kernel | None  # without the components that can have no share of a row
    sweep_missing: Kernel  # rows with missing values
    evaluate: Kernel  # rows to log-densities, labels, responsibilities
    evaluate_missing: Kernel  # rows with missing values, also to those


def mixture_kernels(
    name: str,
    log_density: Any,
    accumulate: Any,
    log_density_missing: Any,
    accumulate_missing: Any,
    only: Any = None,
) -> MixtureKernels:
    """Bind the templates to a family's tile kernels; `only` where components can be taken one by one."""
    tile = {"log_density": log_density, "accumulate": accumulate}
    both = {**tile, "log_density_missing": log_density_missing}
    pruned = None
    if only is not None:
        dense, pairs = (
            bind(mixture_sweep.sweep, **tile),
            bind(pruned_sweep.take_pairs, only=only, **tile),
        )
        pruned = Kernel(pruned_sweep.sweep, f"{name}_sweep_pruned", dense=dense, take_pairs=pairs)
    return MixtureKernels(
        sweep=Kernel(mixture_sweep.sweep, f"{name}_sweep", **tile),
        sweep_about=Kernel(
            mixture_sweep.sweep, f"{name}_sweep_about", recentre=log_density, **tile
        ),
        sweep_pruned=pruned,
        sweep_missing=Kernel(
            missing_sweep.sweep,
            f"{name}_sweep_missing",
            accumulate_missing=accumulate_missing,
            **both,
        ),
        evaluate=Kernel(mixture_sweep.evaluate, f"{name}_evaluate", log_density=log_density),
        evaluate_missing=Kernel(missing_sweep.evaluate, f"{name}_evaluate_missing", **both),
    )
