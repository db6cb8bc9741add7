"""Rows of a leaf sorted by their pattern of missing values, so that equal patterns lie side by side.

A pattern is a set of columns, as bits of 64-bit words. Patterns have numbers in a table that outlives the
leaf; it is emptied when it fills up, so memory is bounded whatever the number of patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.compact import how_many
from fusem.kernels.policy import helper
from fusem.kernels.tile import LEAF as SHORT_LEAF
from fusem.kernels.tile import aligned
from fusem.kernels.transpose import GROUP, missing_in_group, read

LEAF = 4 * SHORT_LEAF  # rows: enough for rows of one pattern to fill vectors
WORD = 64  # columns per word
PATTERNS = 2 * LEAF  # numbers there are; a leaf needs at most LEAF of them
SLOTS = 2 * PATTERNS  # of the hash table, a power of two
COMPLETE, EMPTY = -1, -2  # in place of the number of a pattern: nothing is missing, everything is
MIX = -7046029254386353131  # an odd number with its bits well spread (the golden ratio of 2^64)


class Patterns(NamedTuple):
    """The patterns a thread knows, and the rows of its leaf; flat arrays, reused for every leaf."""

    words: NDArray[np.int64]  # (PATTERNS · words) bits of each pattern
    slots: NDArray[np.int32]  # (SLOTS) number of a pattern, by its hash, + 1; 0 where there is none
    known: NDArray[np.int64]  # (1) how many patterns have a number
    bits: NDArray[np.int64]  # (LEAF · words) missing columns of each row
    number: NDArray[np.int32]  # (LEAF) pattern of each row
    counts: NDArray[np.int32]  # (PATTERNS) rows of the leaf, zeros between leaves
    order: NDArray[np.int32]  # (LEAF + 2 tiles) rows: complete ones, then pattern by pattern
    group: NDArray[np.int32]  # (LEAF) the leaf's patterns, in the order of their first rows
    begin: NDArray[np.int64]  # (LEAF + 1) place in `order` of the first row of each


def patterns(d: int, tile: int) -> Patterns:
    """Memory of one thread for rows of d columns, in tiles of so many rows."""
    words = words_of(d)
    return Patterns(
        words=aligned(PATTERNS * words, np.int64),
        slots=aligned(SLOTS, np.int32),
        known=aligned(1, np.int64),
        bits=aligned(LEAF * words, np.int64),
        number=aligned(LEAF, np.int32),
        counts=aligned(PATTERNS, np.int32),
        order=aligned(LEAF + 2 * tile, np.int32),
        group=aligned(LEAF, np.int32),
        begin=aligned(LEAF + 1, np.int64),
    )


def words_of(d: int) -> int:
    """Words of a pattern of d columns."""
    return -(-d // WORD)


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
    for i in range(count * words):
        bits[i] = 0
    whole = d - d % GROUP if column_stride == kind.itemsize else 0
    for r in range(count):
        row = address + r * row_stride
        for j in range(0, whole, GROUP):
            found = missing_in_group(row + j * kind.itemsize, kind)
            bits[r * words + j // WORD] |= found << (j % WORD)
    for j in range(whole, d):
        for r in range(count):
            value = read(address + r * row_stride + j * column_stride, kind)
            bits[r * words + j // WORD] |= int(value != value) << (j % WORD)


@helper
def number_of(p, row, words):
    """The number of a row's pattern, a new one where it is not known yet."""
    hashed = 0
    for i in range(words):
        hashed = (hashed ^ p.bits[row * words + i]) * MIX
        hashed ^= (hashed >> 32) & 0xFFFFFFFF
    slot = hashed & (SLOTS - 1)
    while p.slots[slot] > 0:
        number = p.slots[slot] - 1
        same = True
        for i in range(words):
            same &= p.words[number * words + i] == p.bits[row * words + i]
        if same:
            return number
        slot = (slot + 1) & (SLOTS - 1)
    number = p.known[0]
    p.known[0] = number + 1
    p.slots[slot] = number + 1
    for i in range(words):
        p.words[number * words + i] = p.bits[row * words + i]
    return number


@helper
def sort_rows(p, count, d, words, tile):
    """Sort the leaf's rows by pattern.

    Returns how many are complete, the place where the others begin (a multiple of the tile), the number of
    their groups, and whether the table of patterns was emptied. What fills a tile up repeats a row.
    """
    emptied = p.known[0] + count > PATTERNS
    if emptied:
        p.known[0] = 0
        for slot in range(SLOTS):
            p.slots[slot] = 0
    complete, groups = 0, 0
    for r in range(count):
        missing = 0
        for i in range(words):
            missing += how_many(p.bits[r * words + i])
        if missing == 0:
            p.number[r] = COMPLETE
            p.order[complete] = r
            complete += 1
        elif missing == d:
            p.number[r] = EMPTY
        else:
            number = number_of(p, r, words)
            p.number[r] = number
            if p.counts[number] == 0:
                p.group[groups] = number
                groups += 1
            p.counts[number] += 1
    first = (complete + tile - 1) // tile * tile
    for place in range(complete, first):
        p.order[place] = p.order[0]
    place = first
    for g in range(groups):
        p.begin[g] = place
        number = p.group[g]
        place, p.counts[number] = place + p.counts[number], place
    p.begin[groups] = place
    for r in range(count):
        number = p.number[r]
        if number >= 0:
            p.order[p.counts[number]] = r
            p.counts[number] += 1
    for g in range(groups):
        p.counts[p.group[g]] = 0
    if groups > 0:
        for rest in range(place, place + tile):
            p.order[rest] = p.order[first]
    return complete, first, groups, emptied


@helper
def missing_columns(p, number, words, d, columns):
    """The columns of a pattern, in order, into `columns`; how many."""
    count = 0
    for j in range(d):
        columns[count] = j
        count += (p.words[number * words + j // WORD] >> (j % WORD)) & 1
    return count
