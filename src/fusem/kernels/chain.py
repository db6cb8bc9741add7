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
    chain_missing,
    chain_moves,
    chain_narrow,
    chain_rows,
    chain_wide,
    code_steps,
    forward_backward,
    lanes_fixed,
    viterbi,
    viterbi_codes,
    viterbi_fixed,
    viterbi_lanes,
    viterbi_sequences,
    viterbi_whole,
)
from fusem.kernels.far_rows import bring_near
from fusem.kernels.fixed_point import TAG_SHIFT, step_of
from fusem.kernels.policy import Kernel, bind, helper, once
from fusem.kernels.states import LANES, states_4, states_8, states_16, states_64

STEPS = (
    "advance", "close", "enter", "keep_back", "leave", "mass_back", "mass_of", "no_move",
    "resume", "resume_back", "retreat", "retreat_only",
)  # fmt: skip
READING = ("factors", "in_logarithms", "scale_of")
PATH_STEPS = ("advance", "enter", "keep", "lowered", "resume", "through")


class ChainKernels(NamedTuple):
    """Kernels of one family and arithmetic."""

    sweep: Kernel
    forward: Kernel
    backward: Kernel
    matrices: Kernel | None  # of blocks, where all states fit a vector


class Emission(NamedTuple):
    """A family's tile kernels as chains call them."""

    name: str
    log_density: Any
    accumulate: Any
    again: bool  # whether its sums need the scratch of the densities
    by_pattern: tuple[Any, Any] | None = None  # the same two for rows sorted by missing values


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


def block_factors_of(emission: Emission, factors: Any) -> Any:
    """Densities of a block's rows, in an arithmetic."""
    if emission.by_pattern is None:
        template = forward_backward.block_factors.py_func
        return bind(template, log_density=emission.log_density, factors=factors)
    put = once(bind(chain_missing.put_factors.py_func, factors=factors))
    template = chain_missing.block_factors.py_func
    tile_density = tile_density_of(emission.log_density, *emission.by_pattern)
    return bind(template, tile_density=tile_density, put_factors=put)


def add_emissions_of(emission: Emission) -> Any:
    """What a block says of the emissions."""
    if emission.by_pattern is None:
        again = emission.log_density if emission.again else not_again
        template = forward_backward.add_emissions.py_func
        return bind(template, accumulate=emission.accumulate, density_again=again)
    return bind(
        chain_missing.add_emissions.py_func,
        tile_density=tile_density_of(emission.log_density, *emission.by_pattern),
        accumulate=once(emission.accumulate),
        accumulate_missing=emission.by_pattern[1],
    )


@cache
def tile_density_of(log_density: Any, log_density_missing: Any, *_sums: Any) -> Any:
    """Log-densities of a tile of sorted rows."""
    template = chain_missing.tile_density.py_func
    own = {"log_density": log_density, "log_density_missing": log_density_missing}
    return once(bind(template, **own))


@cache
def chain_kernels(emission: Emission, arithmetic: str) -> ChainKernels:
    """Bind the templates to a family's tile kernels."""
    steps = ARITHMETIC[arithmetic]
    block_factors = block_factors_of(emission, steps["factors"])
    forth = bind(forward_backward.run_forward.py_func, **steps)
    back = bind(forward_backward.run_backward.py_func, **steps)

    def kernel(template: Any, **more: Any) -> Kernel:
        own = f"{emission.name}_{template.__name__}_{arithmetic}"
        return Kernel(template, own, block_factors=block_factors, **more)

    return ChainKernels(
        sweep=kernel(
            forward_backward.sweep,
            run_forward=forth,
            run_backward=back,
            sum_moves=steps["sum_moves"],
            add_emissions=add_emissions_of(emission),
        ),
        forward=kernel(forward_backward.forward, run_forward=forth),
        backward=kernel(forward_backward.backward, **steps),
        matrices=kernel(chain_blocks.matrices, **VECTORS[arithmetic])
        if arithmetic in VECTORS
        else None,
    )


@cache
def path_kernel(emission: Emission, arithmetic: str) -> Kernel:
    """Bind the template of the best path to a family's tile kernel."""
    steps = steps_of(chain_best, PATH_STEPS)
    if arithmetic in VECTORS:
        steps = {
            step: bind(helper_.py_func, **VECTORS[arithmetic])
            for step, helper_ in steps_of(chain_best_narrow, PATH_STEPS).items()
        }
    block_factors = block_factors_of(emission, chain_best.factors)
    meet = bind(viterbi.meet.py_func, through=steps.pop("through"))
    own = f"{emission.name}_best_{arithmetic}"
    return Kernel(viterbi.climb, own, block_factors=block_factors, meet=meet, **steps)


@cache
def whole_kernel(emission: Emission, width: int) -> Kernel:
    """Bind the template of the best paths of few states through whole sequences."""
    steps, own = lane_steps(emission, width), f"{emission.name}_best_whole_{width}"
    steps["climb"] = once(bind(viterbi_lanes.climb, **steps))
    in_parts = bind(viterbi_whole.in_parts.py_func, **steps)
    return Kernel(viterbi_whole.best_paths, own, **steps, in_parts=in_parts)


@cache
def parts_kernel(emission: Emission, width: int) -> Kernel:
    """Bind the template of parts side by side, in whole numbers."""
    steps = fixed_steps(width)
    steps["place_of"] = bind_place(emission, steps["settle"])
    steps["climb"] = once(bind(viterbi_fixed.climb.py_func, **steps))
    for name in ("begin_alike", "enter_again", "keep"):
        steps[name] = bind(getattr(viterbi_fixed, name).py_func, **steps)
    steps["trace"] = bind(viterbi_lanes.trace.py_func, **steps)
    return Kernel(viterbi_fixed.part_paths, f"{emission.name}_best_parts_{width}", **steps)


@cache
def mended_kernel(width: int) -> Kernel:
    """What makes one path of those of all parts."""
    return Kernel(viterbi_fixed.mended, f"parts_mended_{width}", **fixed_steps(width))


@cache
def code_kernels(width: int, rows: int) -> tuple[Kernel, Kernel]:
    """Bind the templates of paths through small codes, so many rows at a time: whatever the family."""
    sizes = {"STATES": width, "BITS": width.bit_length() - 1, "ROWS": rows}
    steps: dict[str, Any] = {
        **sizes, "PER_UNIT": 1.0 / code_steps.unit(width, rows), "step": code_steps.step_of(width, rows),
    }  # fmt: skip
    for name in (
        "advance", "singles_of", "steps_of", "enter_run", "best_state", "keep", "climb", "go_through",
        "enter_again", "before_step", "before_row", "rest_back", "go_back", "until_met",
    ):  # fmt: skip
        template = getattr(viterbi_codes, name)
        own = bind(getattr(template, "py_func", template), **steps)
        steps[name] = once(own) if name in ("climb", "rest_back") else own
    name = f"{width}_by_{rows}"
    return (
        Kernel(viterbi_codes.code_paths, f"best_of_codes_{name}", **steps),
        Kernel(viterbi_codes.mended, f"codes_mended_{name}", **steps),
    )


def fixed_steps(width: int) -> dict[str, Any]:
    """What steps in whole numbers do, whatever the family."""
    steps = {"STATES": width, "SHIFT": TAG_SHIFT, "ALL": width * LANES, "step": step_of(width)}
    for name in ("begin", "go_on", "settle", "enter", "largest", "lower", "lowered", "advance"):
        steps[name] = bind(getattr(lanes_fixed, name).py_func, **steps)
    return {**steps, "origin_of": bind(viterbi_lanes.origin_of.py_func, **steps)}


@cache
def sequences_kernel(emission: Emission, width: int, fixed: bool) -> Kernel:
    """Bind the template of the best paths of few states, short sequences side by side."""
    if fixed:
        steps = {**fixed_steps(width), **steps_of(lanes_fixed, ("off", "state_value"))}
        steps["advance"] = bind(lanes_fixed.advance_and_add.py_func, advance=steps["advance"])
        own: tuple[str, ...] = ("best_state", "load_steps", "trace")
    else:
        steps, own = steps_of_lanes(width), ("best_state", "enter", "load_steps", "trace")
    steps |= {
        name: bind(
            getattr(viterbi_sequences, name).py_func, **steps, log_density=emission.log_density
        )
        for name in own
    }
    name = f"{emission.name}_best_sequences_{width}{'_fixed' if fixed else ''}"
    return Kernel(viterbi_sequences.best_paths, name, **steps)


def steps_of_lanes(width: int) -> dict[str, Any]:
    """What a vector per state of eight lanes does, whatever the family."""
    sizes = {"STATES": width, "SHIFT": viterbi_lanes.shift_of(width)}
    best_to = bind(viterbi_lanes.best_to.py_func, **sizes)
    origin_of = bind(viterbi_lanes.origin_of.py_func, **sizes)
    return {
        **sizes,
        "best_to": best_to,
        "origin_of": origin_of,
        "advance": bind(viterbi_lanes.advance.py_func, best_to=best_to, **sizes),
        "trace": bind(viterbi_lanes.trace.py_func, origin_of=origin_of, **sizes),
    }


def bind_place(emission: Emission, settle: Any) -> Any:
    """Where a step of all lanes stands in its tile."""
    own = {"log_density": emission.log_density, "settle": settle}
    return once(bind(viterbi_lanes.place_of.py_func, **own))


def lane_steps(emission: Emission, width: int) -> dict[str, Any]:
    """The same, and what stretches side by side do besides."""
    steps = steps_of_lanes(width)
    parts = {
        name: bind(getattr(viterbi_lanes, name).py_func, STATES=width, best_to=steps["best_to"])
        for name in ("through", "stay", "joined", "common_states")
    }
    place_of = bind_place(emission, bring_near)
    meet = bind(viterbi_lanes.meet.py_func, STATES=width, place_of=place_of, **parts)
    return {**steps, "place_of": place_of, "meet": meet}


@cache
def row_kernels(emission: Emission) -> Kernel:
    """Bind the template of a family's log-densities, row by row, to its tile kernel."""
    block_factors = block_factors_of(emission, chain_log.factors)
    return Kernel(
        chain_rows.densities, f"{emission.name}_row_densities", block_factors=block_factors
    )
