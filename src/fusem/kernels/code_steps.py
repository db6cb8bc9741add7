"""Steps of best paths that take several rows of small codes at once, in whole numbers.

The codes of all of a step's rows but the last say which way is best from every state to every other one:
there are as many tables of such ways as those codes have values, and a step looks its one up. The last row's
log-densities are added. A way is a whole number as in `fixed_point`, with more bits at its end: some for each
of its states but the last, the first of which is in the row before the step. So the largest of all ways says
which states it goes through, and of ways that are equally good it is the one that goes through the first
states, the later rows' first.

The states of a step are in the lanes of a vector: a row costs a look at a table, and no log-densities.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from fusem.kernels.elements import element, put
from fusem.kernels.fixed_point import DIGITS, LEAST, larger_of
from fusem.kernels.policy import Kernel, helper
from fusem.kernels.simd import splat
from fusem.kernels.states import LANES
from fusem.kernels.tile import aligned

I64 = ir.IntType(64)
# Less than the logarithm of any transition that there is: of those of a step's row where no state is.
NOWHERE = -750.0
UNIT, LOWEST = 2.0**DIGITS, -(1 << 63)


def tag_bits(width: int, rows: int) -> int:
    """Bits that the states of a step take."""
    return rows * (width.bit_length() - 1)


def kept_in(width: int, rows: int) -> type:
    """What holds them."""
    return np.uint8 if tag_bits(width, rows) <= 8 else np.uint16


def unit(width: int, rows: int) -> float:
    """What stands for 1.0."""
    return float(1 << (DIGITS + tag_bits(width, rows)))


class CodeTables(NamedTuple):
    """What is read of a model: flat arrays of whole numbers, and of logarithms."""

    n_codes: int
    # (codes of all rows but the last · width · width) from i to j at [i · width + j], with tags
    ways: NDArray[Any]
    moves: NDArray[Any]  # (width · width) the same of a step of one row
    factors: NDArray[Any]  # (n_codes · width) log-densities of a row, less the largest
    start: NDArray[Any]  # (n_codes · width) those of the first row of a sequence, with the start
    tops: NDArray[Any]  # (n_codes) the largest log-density
    tops_before: NDArray[Any]  # (codes of all rows but the last) the sum of theirs
    start_tops: NDArray[Any]  # (n_codes) of the first row of a sequence


def tables_of(
    log_densities: NDArray[np.float64],
    start: NDArray[np.float64],
    transitions: NDArray[np.float64],
    width: int,
    rows: int,
) -> CodeTables:
    """Tables of a model in whose states rows have one of so many log-densities (n_codes, K).

    None of the transitions is 0.
    """
    n_codes, states, table = len(log_densities), len(log_densities) * width, width * width
    counts = [n_codes**row for row in range(rows)]  # of tables of so many rows and one more
    n_tables = sum(counts)
    memory = aligned((n_tables + 1) * table + 2 * states, np.int64)
    ways, moves = memory[: n_tables * table], memory[n_tables * table : (n_tables + 1) * table]
    factors, first = memory[-2 * states :].reshape(2, states)
    tops, start_tops, before = np.empty(n_codes), np.empty(n_codes), np.empty(n_tables)
    with np.errstate(divide="ignore"):
        given = log_densities, np.zeros(len(start)), np.log(start), np.log(transitions)
    _fill[np.float64](
        *given, width, rows, tag_bits(width, 1), ways, moves, factors, first, tops, before, start_tops,
    )  # fmt: skip
    last = ways[-counts[-1] * table :]
    return CodeTables(
        n_codes, last, ways[:table], factors, first, tops, before[-counts[-1] :], start_tops
    )


@helper
def whole_number(x, bits):
    """A logarithm as a whole number with so many free bits."""
    return np.int64(np.rint(x * UNIT)) << bits


@helper
def below_top(log_densities, more, bits, width, factors, tops):
    """Log-densities of all codes and some more as whole numbers, less the largest of each code."""
    for code in range(log_densities.shape[0]):
        top = -math.inf
        for k in range(more.size):
            x = log_densities[code, k] + more[k]
            top = x if x > top else top
        tops[code] = top
        for j in range(width):
            factors[code * width + j] = 0
        if top > -math.inf:  # else the row cannot be, and says nothing
            for k in range(more.size):
                x = log_densities[code, k] + more[k] - top
                factors[code * width + k] = whole_number(x if x > LEAST else LEAST, bits)


@helper
def lengthen(ways, table, moves, factors, shift, longer, width, n_codes):
    """A table of ways through one row more for each code of that row, which a last move leads to."""
    for code in range(n_codes):
        for i in range(width):
            at = longer + (code * width + i) * width
            for j in range(width):
                ways[at + j] = LOWEST
            for m in range(width):
                here = ways[table + i * width + m] + factors[code * width + m]
                here += (width - 1 - m) << shift
                for j in range(width):
                    way = here + element(moves, m * width + j)
                    put(ways, at + j, max(element(ways, at + j), way))


def _fill_tables(
    log_densities,  # IN  (n_codes, K)
    nothing,  # IN  (K) zeros
    log_start,  # IN  (K)
    log_moves,  # IN  (K, K)
    width,
    rows,
    bits,  # of a state's number
    ways,  # OUT tables of one row, then of two, …
    moves,  # OUT (width · width) those of one row, without tags
    factors,  # OUT the others: as in CodeTables
    start,
    tops,
    before,  # OUT sums of the largest of all rows but the last: of none, then of one, …
    start_tops,
):
    """Write down what a model says."""
    n_codes, n_states, free = log_densities.shape[0], log_start.size, rows * bits
    below_top(log_densities, nothing, free, width, factors, tops)
    below_top(log_densities, log_start, free, width, start, start_tops)
    for i in range(width):
        for j in range(width):
            is_one = i < n_states and j < n_states
            way = whole_number(log_moves[i, j] if is_one else rows * NOWHERE, free)
            moves[i * width + j] = way
            ways[i * width + j] = way + width - 1 - i
    before[0] = 0.0
    first, tables = 0, 1
    for row in range(1, rows):
        longer = first + tables
        for code in range(tables):
            to = longer + code * n_codes
            table, there = (first + code) * width * width, to * width * width
            lengthen(ways, table, moves, factors, row * bits, there, width, n_codes)
            for next_code in range(n_codes):
                before[to + next_code] = before[first + code] + tops[next_code]
        first, tables = longer, tables * n_codes


_fill = Kernel(_fill_tables, "fill_code_tables")


@cache
def step_of(width: int, rows: int) -> Any:
    """A step of so many states and rows: an intrinsic."""
    lanes = min(width, LANES)
    vector = ir.VectorType(I64, lanes)
    narrow = ir.VectorType(ir.IntType(8 * np.dtype(kept_in(width, rows)).itemsize), lanes)
    mask = ir.Constant(vector, [(1 << tag_bits(width, rows)) - 1] * lanes)

    @intrinsic
    def step(typing_context, states, place, ways, table, factors, row, origins, at):
        """Take states through some rows, less the first of them as it was before; that one.

        Parameters
        ----------
        states : array of int64
            From element `place` on the states before the rows, then those after them, without tags.
        ways : array of int64
            From state i to state j at [table + i · width + j], with tags.
        factors : array of int64
            Log-densities of the last row from element `row` on.
        origins : array of integers
            The tags of the best ways to all states, from element `at` on.
        """

        def codegen(context, builder, signature, arguments):
            array, first, matrix, begin, factor, last, tags, target = arguments
            kinds = signature.args

            def pointer(kind, value, *index):
                data = context.make_array(kind)(context, builder, value).data
                for one in index:
                    data = builder.gep(data, [one])
                return data

            def load(kind, value, *index):
                found = builder.load(
                    builder.bitcast(pointer(kind, value, *index), vector.as_pointer())
                )
                found.align = 8
                return found

            n = [ir.Constant(I64, number) for number in range(width * width)]
            before = [builder.load(pointer(kinds[0], array, first, n[i])) for i in range(width)]
            found = []
            for q in range(0, width, lanes):
                ways_to: list[ir.Value] = []
                for i in range(width):
                    way = load(kinds[2], matrix, begin, n[i * width + q])
                    way = builder.add(way, splat(builder, before[i], lanes))
                    # two chains of maxima take half the time of one
                    ways_to.append(way if i < 2 else larger_of(builder, ways_to[-2], way))
                best = larger_of(builder, *ways_to[-2:])
                tag = builder.and_(best, mask)
                there = builder.bitcast(pointer(kinds[6], tags, target, n[q]), narrow.as_pointer())
                builder.store(builder.trunc(tag, narrow), there).align = 1
                more = load(kinds[4], factor, last, n[q])
                more = builder.sub(more, splat(builder, before[0], lanes))
                found.append(builder.add(builder.sub(best, tag), more))
            for q, value in zip(range(0, width, lanes), found, strict=True):
                there = pointer(kinds[0], array, first, n[q])
                builder.store(value, builder.bitcast(there, vector.as_pointer())).align = 8
            return before[0]

        word = types.intp
        return types.int64(states, word, ways, word, factors, word, origins, word), codegen

    return step
