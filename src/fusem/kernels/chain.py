"""The kernels of a hidden Markov model: the templates, bound to a family and to an arithmetic."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from fusem.kernels import (
    chain_best,
    chain_best_narrow,
    chain_blocks,
    chain_linear,
    chain_log,
    chain_moves,
    chain_narrow,
    chain_rows,
    chain_wide,
    forward_backward,
    viterbi,
)
from fusem.kernels.policy import Kernel, bind, helper
from fusem.kernels.states import states_4, states_8, states_16, states_64

STEPS = (
    "advance", "close", "enter", "keep_back", "leave", "mass_back", "mass_of", "no_move",
    "resume", "resume_back", "retreat", "retreat_only",
)  # fmt: skip
READING = ("factors", "in_logarithms", "scale_of")
PATH_STEPS = ("advance", "enter", "keep", "resume", "through")


class ChainKernels(NamedTuple):
    """Kernels of one family and arithmetic."""

    sweep: Kernel
    forward: Kernel
    backward: Kernel
    matrices: Kernel | None  # of blocks, where all states fit a vector


@helper
def not_again(x, operands, log_weights, logp, scratch, d, tile, stride):
    """For `density_again`: the sums of the family need no scratch."""


def steps_of(module: ModuleType, names: tuple[str, ...] = STEPS) -> dict[str, Any]:
    """Helpers of an arithmetic, by name."""
    return {name: getattr(module, name) for name in names}


def narrow(nothing: Any, lanes: int) -> dict[str, Any]:
    """Helpers for so many states in one vector."""
    bound = {
        name: bind(step.py_func, nothing=nothing) for name, step in steps_of(chain_narrow).items()
    }
    sums = bind(chain_moves.sum_moves.py_func, nothing=nothing, LANES=lanes)
    return {**bound, **steps_of(chain_linear, READING), "sum_moves": sums}


VECTORS = {  # how many states, as a vector and as all rows of a matrix
    "four": {"nothing": states_4, "all_rows": states_16},
    "eight": {"nothing": states_8, "all_rows": states_64},
}
ARITHMETIC: dict[str, dict[str, Any]] = {
    "four": narrow(states_4, 4),
    "eight": narrow(states_8, 8),
    "wide": {
        **steps_of(chain_wide),
        **steps_of(chain_linear, READING),
        "sum_moves": chain_moves.sum_moves,
    },
    "log": {**steps_of(chain_log), **steps_of(chain_log, (*READING, "sum_moves"))},
}


@cache
def chain_kernels(
    name: str, log_density: Any, accumulate: Any, again: bool, arithmetic: str
) -> ChainKernels:
    """Bind the templates to a family's tile kernels; `again` where its sums need the densities' scratch."""
    steps = ARITHMETIC[arithmetic]
    block_factors = bind(
        forward_backward.block_factors.py_func, log_density=log_density, factors=steps["factors"]
    )
    forth = bind(forward_backward.run_forward.py_func, **steps)
    back = bind(forward_backward.run_backward.py_func, **steps)

    def kernel(template: Any, **more: Any) -> Kernel:
        own = f"{name}_{template.__name__}_{arithmetic}"
        return Kernel(template, own, block_factors=block_factors, **more)

    return ChainKernels(
        sweep=kernel(
            forward_backward.sweep,
            run_forward=forth,
            run_backward=back,
            sum_moves=steps["sum_moves"],
            accumulate=accumulate,
            density_again=log_density if again else not_again,
        ),
        forward=kernel(forward_backward.forward, run_forward=forth),
        backward=kernel(forward_backward.backward, **steps),
        matrices=kernel(chain_blocks.matrices, **VECTORS[arithmetic])
        if arithmetic in VECTORS
        else None,
    )


@cache
def path_kernel(name: str, log_density: Any, arithmetic: str) -> Kernel:
    """Bind the template of the best path to a family's tile kernel."""
    block_factors = bind(
        forward_backward.block_factors.py_func, log_density=log_density, factors=chain_log.factors
    )
    steps = steps_of(chain_best, PATH_STEPS)
    if arithmetic in VECTORS:
        steps = {
            step: bind(helper_.py_func, **VECTORS[arithmetic])
            for step, helper_ in steps_of(chain_best_narrow, PATH_STEPS).items()
        }
    through = steps.pop("through")
    meet = bind(viterbi.meet.py_func, through=through)
    own = f"{name}_best_{arithmetic}"
    return Kernel(viterbi.climb, own, block_factors=block_factors, meet=meet, **steps)


@cache
def row_kernels(name: str, log_density: Any) -> Kernel:
    """Bind the template of a family's log-densities, row by row, to its tile kernel."""
    return Kernel(chain_rows.densities, f"{name}_row_densities", log_density=log_density)
