"""The most probable paths through rows that are small codes, some rows at a time (`code_steps`).

Rows are gone through in runs, eight side by side. A run is a sequence, or a part of one. The first run of a
sequence begins with its first row, another one some rows before its own, from states that are all as good, as
parts do in `viterbi_fixed`: what was before is soon forgotten, and that is seen where the run before ends.
Where it is not so yet, the run is entered again with what the one before ends with, until it is.

The way back begins at the end of all runs, from the state that is best there. Ways back soon meet, too: where
another state turns out to be on the path, the last rows are written again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fusem.kernels.elements import element, put
from fusem.kernels.policy import helper
from fusem.kernels.states import LANES

# Bound to others: states, bits of a state's number, rows of a step, and what stands for one unit.
STATES, BITS, ROWS, PER_UNIT = 16, 4, 2, math.nan
LOOK = 8  # steps after which a run that is entered again is compared with what it was


class CodeSpace(NamedTuple):
    """Memory of a thread, a lane for each of eight runs."""

    states: NDArray[Any]  # (LANES · STATES) int64
    row: NDArray[Any]  # (LANES) int64: of the first step, or the last
    at: NDArray[Any]  # (LANES) int64: where what it leaves begins
    state: NDArray[Any]  # (LANES) int64: on the way back
    fell: NDArray[Any]  # (LANES) what was taken off


@helper
def step(states, place, ways, table, factors, row, origins, at):
    """One of `code_steps.step_of`."""


@helper
def advance(codes, row, tables, states, place, origins, at):
    """Take a run's states through the rows of a step; by how much they fell, but for the first of them."""
    code = 0
    for g in range(ROWS - 1):
        code = code * tables.n_codes + int(element(codes, row + g))
    last = int(element(codes, row + ROWS - 1))
    table = code * STATES * STATES
    off = step(states, place, tables.ways, table, tables.factors, last * STATES, origins, at)
    return off * PER_UNIT + element(tables.tops_before, code) + element(tables.tops, last)


@helper
def singles_of(run, runs):
    """Rows of a run that are no full step: they come first."""
    return (element(runs.last, run) - element(runs.enter, run)) % ROWS


@helper
def steps_of(run, runs):
    """Its full steps."""
    return (element(runs.last, run) - element(runs.enter, run)) // ROWS


@helper
def enter_run(codes, run, runs, tables, states, place, origins):
    """The states of a run where its full steps begin; what was taken off them."""
    if not runs.opens[run]:
        for j in range(STATES):
            states[place + j] = 0
        return 0.0
    code, at = int(codes[runs.first[run]]), runs.at[run]
    off = tables.start_tops[code]
    for j in range(STATES):
        states[place + j] = tables.start[code * STATES + j]
    for row in range(runs.enter[run], runs.enter[run] + singles_of(run, runs)):
        code = int(codes[row])
        fell = step(states, place, tables.moves, 0, tables.factors, code * STATES, origins, at)
        off, at = off + fell * PER_UNIT + tables.tops[code], at + STATES
    return off


@helper
def best_state(states, place):
    """The first of the best states."""
    best = 0
    for j in range(1, STATES):
        if states[place + j] > states[place + best]:
            best = j
    return best


@helper
def keep(states, place, kept, at):
    """Write down the states of a run, less the largest of them; that one."""
    top = states[place]
    for j in range(1, STATES):
        top = max(top, states[place + j])
    for j in range(STATES):
        kept[at + j] = states[place + j] - top
    return top * PER_UNIT


def climb(codes, eight, runs, tables, begin, end, m, origins):
    """Take eight runs, or fewer, through their steps from `begin` on, before `end`."""
    fewest = end
    for lane in range(eight.size):
        run = eight[lane]
        fewest = min(fewest, steps_of(run, runs))
        m.row[lane] = runs.enter[run] + singles_of(run, runs)
        m.at[lane] = runs.at[run] + singles_of(run, runs) * STATES
    for t in range(begin, fewest):
        for lane in range(eight.size):
            row, at = element(m.row, lane) + t * ROWS, element(m.at, lane) + t * STATES
            fell = advance(codes, row, tables, m.states, lane * STATES, origins, at)
            put(m.fell, lane, element(m.fell, lane) + fell)
    for lane in range(eight.size):
        for t in range(max(begin, fewest), min(end, steps_of(eight[lane], runs))):
            row, at = m.row[lane] + t * ROWS, m.at[lane] + t * STATES
            m.fell[lane] += advance(codes, row, tables, m.states, lane * STATES, origins, at)


@helper
def go_through(
    codes, eight, runs, tables, warm, m, begun, ended, gains, guesses, entry, origins
):  # fmt: skip
    """Take eight runs to their ends."""
    zero = 0 * warm  # a helper is compiled anew for every literal that it is given
    most = zero
    for lane in range(eight.size):
        most = max(most, steps_of(eight[lane], runs))
        m.fell[lane] = enter_run(codes, eight[lane], runs, tables, m.states, lane * STATES, origins)
    climb(codes, eight, runs, tables, zero, warm, m, origins)
    for lane in range(eight.size):
        run = eight[lane]
        if not runs.opens[run]:
            m.fell[lane] = -keep(m.states, lane * STATES, begun, runs.kept[run] * STATES)
    climb(codes, eight, runs, tables, warm, most, m, origins)
    for lane in range(eight.size):
        run = eight[lane]
        best = best_state(m.states, lane * STATES)
        guesses[run] = entry[run] = best
        gains[run] = m.fell[lane] + m.states[lane * STATES + best] * PER_UNIT
        if runs.kept[run] >= 0:
            keep(m.states, lane * STATES, ended, runs.kept[run] * STATES)


@helper
def enter_again(codes, run, runs, tables, warm, m, begun, ended, gains, origins):
    """Take a run on from what the one before ends with, until that is what it was; false if it never is."""
    states, kept = m.states, runs.kept[run] * STATES
    for j in range(STATES):
        states[j] = begun[kept + j]
        states[STATES + j] = begun[kept + j] = ended[kept - STATES + j]
    change, row, at = 0.0, runs.first[run], runs.at[run] + warm * STATES
    steps = steps_of(run, runs) - warm
    for t in range(steps):
        here = at + t * STATES
        change -= advance(codes, row + t * ROWS, tables, states, 0 * warm, origins, here)
        change += advance(codes, row + t * ROWS, tables, states, STATES + 0 * warm, origins, here)
        if t % LOOK == 0 or t == steps - 1:
            alike = True
            for j in range(1, STATES):
                alike &= states[j] - states[0] == states[STATES + j] - states[STATES]
            if alike:
                gains[run] += change + (states[STATES] - states[0]) * PER_UNIT
                return True
    return False


@helper
def before_step(origins, at, path, row, state):
    """Write the states of the rows of a step, that of the last one given; the one before them."""
    tags = int(element(origins, at + state))
    put(path, row, state)
    for g in range(1, ROWS):
        put(path, row - g, STATES - 1 - ((tags >> (ROWS - g) * BITS) & (STATES - 1)))
    return STATES - 1 - (tags & (STATES - 1))


@helper
def before_row(origins, at, path, row, state):
    """The same of a single row."""
    put(path, row, state)
    return STATES - 1 - (int(element(origins, at + state)) & (STATES - 1))


@helper
def go_back(eight, runs, warm, entry, m, origins, path):
    """Write the states of eight runs from their ends on."""
    fewest = steps_of(eight[0], runs)
    for lane in range(eight.size):
        run = eight[lane]
        steps, singles = steps_of(run, runs), singles_of(run, runs)
        fewest = min(fewest, steps - (0 if runs.opens[run] else warm))
        m.row[lane] = runs.last[run] - 1
        m.at[lane] = runs.at[run] + (singles + steps - 1) * STATES
        m.state[lane] = entry[run]
    for t in range(fewest):
        for lane in range(eight.size):
            row, at = element(m.row, lane) - t * ROWS, element(m.at, lane) - t * STATES
            put(m.state, lane, before_step(origins, at, path, row, element(m.state, lane)))
    for lane in range(eight.size):
        run = eight[lane]
        entry[run] = rest_back(run, runs, warm, fewest, m.state[lane], origins, path)


def rest_back(run, runs, warm, t, state, origins, path):
    """Write the states of a run but for its last `t` steps; the state before it, or that of the first row."""
    singles, steps = singles_of(run, runs), steps_of(run, runs)
    row, at = runs.last[run] - 1 - t * ROWS, runs.at[run] + (singles + steps - 1 - t) * STATES
    for _ in range(steps - t - (0 if runs.opens[run] else warm)):
        state = before_step(origins, at, path, row, state)
        row, at = row - ROWS, at - STATES
    for _ in range(singles):
        state = before_row(origins, at, path, row, state)
        row, at = row - 1, at - STATES
    if runs.opens[run]:
        put(path, row, state)
    return state


def code_paths(
    codes,  # IN  (rows) of all sequences
    chosen,  # IN  runs, in eights that take about as many steps
    again,  # whether they were gone through before, and are only entered again
    runs,  # IN  CodeRuns
    tables,  # IN  CodeTables
    warm,  # steps that are taken before a run's own, where it begins no sequence
    m,  # SCRATCH CodeSpace
    begun,  # INOUT (runs of sequences that are cut · STATES) states before each run's own rows
    ended,  # OUT (likewise) states of its last row
    gains,  # OUT (runs) by how much the largest of them rises
    guesses,  # OUT (runs) the state its way back begins with
    entry,  # OUT (runs) the state before it, where that leads to
    origins,  # OUT where the best ways came from, run by run
    path,  # OUT (rows) the states
):
    """Go through runs and back; returns false where one cannot be entered again."""
    for first in range(0, chosen.size, LANES):
        eight = chosen[first : first + LANES]
        if again:
            for lane in range(eight.size):
                run = eight[lane]
                if not enter_again(codes, run, runs, tables, warm, m, begun, ended, gains, origins):
                    return False
                guesses[run] = entry[run] = best_state(ended, runs.kept[run] * STATES)
        else:
            go_through(
                codes, eight, runs, tables, warm, m, begun, ended, gains, guesses, entry, origins
            )
        go_back(eight, runs, warm, entry, m, origins, path)
    return True


def mended(
    runs,  # IN  CodeRuns
    warm,  # as above
    guesses,  # IN  (runs)
    entry,  # INOUT (runs)
    origins,  # IN  as above
    path,  # INOUT (rows) the states
):
    """Make one path of those of all runs of a sequence."""
    for run in range(guesses.size - 1, 0, -1):
        if runs.opens[run] or entry[run] == guesses[run - 1]:
            continue
        entry[run - 1] = until_met(run - 1, runs, warm, entry[run], entry[run - 1], origins, path)


@helper
def until_met(run, runs, warm, state, before, origins, path):
    """Write the last states of a run again, until they are what they were; the state before the run."""
    singles, steps = singles_of(run, runs), steps_of(run, runs)
    row, at = runs.last[run] - 1, runs.at[run] + (singles + steps - 1) * STATES
    for t in range(steps - (0 if runs.opens[run] else warm)):
        if path[row] == state:
            return before
        state = before_step(origins, at, path, row, state)
        row, at = row - ROWS, at - STATES
    for _ in range(singles):
        if path[row] == state:
            return before
        state = before_row(origins, at, path, row, state)
        row, at = row - 1, at - STATES
    if runs.opens[run]:
        put(path, row, state)
    return state
