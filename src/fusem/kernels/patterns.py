"""Rows of a leaf sorted by their pattern of missing values, so that equal patterns lie side by side.

A pattern is a set of columns, as bits of 64-bit words. Patterns have numbers: their bits where columns are
few, else places in a table that outlives the leaf; it is emptied when it fills up, so memory is bounded
whatever the number of patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.elements import element, put
from fusem.kernels.policy import helper
from fusem.kernels.tile import LEAF as SHORT_LEAF
from fusem.kernels.tile import aligned
from fusem.kernels.transpose import GROUP, missing_in_group, read

LEAF = 4 * SHORT_LEAF  # rows: enough for rows of one pattern to fill vectors
WORD = 64  # columns per word
PATTERNS = 2 * LEAF  # numbers there are; a leaf needs at most LEAF of them
SLOTS = 2 * PATTERNS  # of the hash table, a power of two
EMPTY = 0  # number of the pattern of rows without any value
FEW = 10  # columns whose patterns are numbered by their bits, 2^FEW ≤ PATTERNS − LEAF: looking up took 3 ns
MIX = -7046029254386353131  # an odd number with its bits well spread (the golden ratio of 2^64)


class Patterns(NamedTuple):
    """The patterns a thread knows, and the rows of its leaf; flat arrays, reused for every leaf."""

    words: NDArray[np.int64]  # (PATTERNS · words) bits of each pattern
    slots: NDArray[np.int32]  # (SLOTS) number of a pattern, by its hash, + 1; 0 where there is none
    # (2) how many patterns have a number; mask of these numbers where they are the bits + 1, else 0
    known: NDArray[np.int64]
    bits: NDArray[np.int64]  # (LEAF · words) missing columns of each row
    row: NDArray[np.int32]  # (LEAF + 1) rows that are not complete
    number: NDArray[np.int32]  # (LEAF) their patterns
    counts: NDArray[
        np.int64
    ]  # (PATTERNS) rows of the leaf, then their places; zeros between leaves
    order: NDArray[np.int32]  # (2 · (LEAF + tile)) rows: complete ones, then pattern by pattern
    group: NDArray[np.int32]  # (LEAF) the leaf's patterns, in the order of their first rows
    begin: NDArray[np.int64]  # (LEAF + 1) place in `order` of the first row of each


def patterns(d: int, tile: int) -> Patterns:
    """Memory of one thread for rows of d columns, in tiles of so many rows."""
    words = words_of(d)
    return Patterns(
        words=aligned(PATTERNS * words, np.int64),
        slots=aligned(SLOTS, np.int32),
        known=aligned(2, np.int64),
        bits=aligned(LEAF * words, np.int64),
        row=aligned(LEAF + 1, np.int32),
        number=aligned(LEAF, np.int32),
        counts=aligned(PATTERNS, np.int64),
        order=aligned(2 * (LEAF + tile), np.int32),
        group=aligned(LEAF, np.int32),
        begin=aligned(LEAF + 1, np.int64),
    )


def words_of(d: int) -> int:
    """Words of a pattern of d columns."""
    return -(-d // WORD)


@helper
def words_in(p):
    """Words of a pattern, from the table's size."""
    return p.words.size // PATTERNS


@helper
def find_missing(
    address,  # IN  of the leaf's first row
    row_stride,  # IN  bytes
    column_stride,
    kind,  # IN  array whose dtype the rows have
    count,  # IN  rows
    d,
    words,
    bits,  # OUT (count · words)
):
    """Which values of each row are NaN."""
    whole = d - d % GROUP if column_stride == kind.itemsize else 0
    for r in range(count):
        row = address + r * row_stride
        j = 0
        for at in range(r * words, (r + 1) * words):
            found, shift = 0, 0
            while shift < WORD and j < whole:
                found |= missing_in_group(row + j * kind.itemsize, kind) << shift
                j, shift = j + GROUP, shift + GROUP
            bits[at] = found
    for j in range(whole, d):
        for r in range(count):
            value = read(address + r * row_stride + j * column_stride, kind)
            bits[r * words + j // WORD] |= int(value != value) << (j % WORD)


@helper
def slot_of(bits, at, words):
    """Where to look first for the pattern that begins at a place of `bits`."""
    hashed = 0
    for i in range(at, at + words):
        hashed = (hashed ^ element(bits, i)) * MIX
        hashed ^= (hashed >> 32) & 0xFFFFFFFF
    return hashed & (SLOTS - 1)


@helper
def number_of(p, bits, at):
    """The number of the pattern that begins at a place of `bits`, a new one where it is not known yet."""
    if p.known[1] > 0:
        return (element(bits, at) + 1) & p.known[1]
    words = words_in(p)
    slot = slot_of(bits, at, words)
    while element(p.slots, slot) > 0:
        number = element(p.slots, slot) - 1
        other = 0
        for i in range(words):
            other |= element(p.words, number * words + i) ^ element(bits, at + i)
        if other == 0:
            return number
        slot = (slot + 1) & (SLOTS - 1)
    number = p.known[0]
    p.known[0] = number + 1
    p.slots[slot] = number + 1
    for i in range(words):
        p.words[number * words + i] = bits[at + i]
    return number


@helper
def forget_patterns(p, d):
    """Empty the table, but for the pattern that has a number of its own; fill it where columns are few."""
    words = words_in(p)
    p.known[0] = p.known[1] = 0
    if d <= FEW:
        p.known[0] = 1 << d
        p.known[1] = p.known[0] - 1
        for number in range(p.known[0]):
            p.words[number] = (number - 1) & p.known[1]
        return
    for slot in range(SLOTS):
        p.slots[slot] = 0
    for i in range(words):
        p.bits[i] = 0
    for j in range(d):
        p.bits[j // WORD] |= 1 << (j % WORD)
    number_of(p, p.bits, 0)  # EMPTY


@helper
def place_of_empty(tile):
    """Place of the first row without any value: after all others, and what fills up their last tiles."""
    return LEAF + 2 * tile


@helper
def sort_rows(p, count, tile):
    """Sort the leaf's rows by pattern.

    Returns how many are complete, the place where the others begin (a multiple of the tile) and the number of
    their groups. What fills a tile up repeats a row.
    """
    complete, incomplete, words = 0, 0, words_in(p)
    for r in range(
        count
    ):  # both places are written, one of them counts: no branch, whatever the rows
        found = element(p.bits, r * words)
        for i in range(r * words + 1, (r + 1) * words):
            found |= element(p.bits, i)
        put(p.order, complete, r)
        put(p.row, incomplete, r)
        complete += found == 0
        incomplete += found != 0
    groups = 0
    for i in range(incomplete):
        number = number_of(p, p.bits, element(p.row, i) * words)
        put(p.number, i, number)
        before = element(p.counts, number)
        put(p.counts, number, before + 1)
        if before == 0:
            p.group[groups] = number
            groups += 1
    first = (complete + tile - 1) // tile * tile
    place, some = first, 0
    for g in range(groups):
        number = p.group[g]
        size = p.counts[number]
        if number == EMPTY:
            p.counts[number] = place_of_empty(tile)
        else:
            p.counts[number] = place
            p.group[some], p.begin[some] = number, place
            place += size
            some += 1
    p.begin[some] = place
    for i in range(incomplete):
        number = element(p.number, i)
        at = element(p.counts, number)
        put(p.order, at, element(p.row, i))
        put(p.counts, number, at + 1)
    for g in range(some):
        p.counts[p.group[g]] = 0
    p.counts[EMPTY] = 0
    for rest in range(complete, first):
        p.order[rest] = p.order[0]
    for rest in range(place, place + tile if some > 0 else place):
        p.order[rest] = p.order[first]
    return complete, first, some


@helper
def missing_columns(p, number, d, columns):
    """The columns of a pattern, in order, into `columns`; how many."""
    count, words = 0, words_in(p)
    for j in range(d):
        columns[count] = j
        count += (p.words[number * words + j // WORD] >> (j % WORD)) & 1
    return count
