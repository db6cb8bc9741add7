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
from fusem.kernels.transpose import GROUP, HALF, missing_in_group, missing_in_half, read

LEAF = (
    8 * SHORT_LEAF
)  # rows: enough for rows of one pattern to fill vectors (16: slower, not in the cache)
WORD = 64  # columns per word
PATTERNS = 2 * LEAF  # numbers there are; a leaf needs at most LEAF of them
SLOTS = 2 * PATTERNS  # of the hash table, a power of two
FILLED = 2  # strips at least of patterns whose rows are filled up to strips
EMPTY = 0  # number of the pattern of rows without any value
COMPLETE = 1  # and of those that lack none
FEW = 10  # columns whose patterns are numbered by their bits, 2^FEW ≤ PATTERNS − LEAF: looking up took 3 ns
MIX = -7046029254386353131  # an odd number with its bits well spread (the golden ratio of 2^64)


class Patterns(NamedTuple):
    """The patterns a thread knows, and the rows of its leaf; flat arrays, reused for every leaf."""

    words: NDArray[np.int64]  # (PATTERNS · words) bits of each pattern
    slots: NDArray[np.int32]  # (SLOTS) number of a pattern, by its hash, + 1; 0 where there is none
    # (2) how many patterns have a number; mask of these numbers where they are the bits + 1, else 0
    known: NDArray[np.int64]
    bits: NDArray[np.int64]  # (LEAF · words) missing columns of each row
    number: NDArray[np.int32]  # (LEAF) the pattern of each row
    counts: NDArray[
        np.int64
    ]  # (PATTERNS) rows of the leaf, then their places; zeros between leaves
    order: NDArray[np.int32]  # (places) rows: complete ones, then pattern by pattern
    group: NDArray[np.int32]  # (LEAF) the leaf's patterns, those of many rows first
    begin: NDArray[np.int64]  # (LEAF) place in `order` of the first row of each
    end: NDArray[np.int64]  # (LEAF) and of the one past the last


def patterns(d: int, tile: int) -> Patterns:
    """Memory of one thread for rows of d columns, in tiles of so many rows."""
    words = words_of(d)
    return Patterns(
        words=aligned(PATTERNS * words, np.int64),
        slots=aligned(SLOTS, np.int32),
        known=aligned(2, np.int64),
        bits=aligned(LEAF * words, np.int64),
        number=aligned(LEAF, np.int32),
        counts=aligned(PATTERNS, np.int64),
        order=aligned(place_of_empty.py_func(tile) + LEAF, np.int32),
        group=aligned(LEAF, np.int32),
        begin=aligned(LEAF, np.int64),
        end=aligned(LEAF, np.int64),
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
    for r in range(count):
        for i in range(words):
            first = i * WORD
            at = address + r * row_stride + first * column_stride
            bits[r * words + i] = missing_among(at, column_stride, kind, min(WORD, d - first))


@helper
def missing_among(address, column_stride, kind, d):
    """Bits that say which of d values of a row are NaN, a word at most."""
    size, found = kind.itemsize, 0
    if column_stride == size and d >= GROUP:
        for j in range(0, d, GROUP):
            at = min(j, d - GROUP)  # of the last columns some once more
            found |= missing_in_group(address + at * size, kind) << at
    elif column_stride == size and d >= HALF:
        rest = d - HALF
        found = missing_in_half(address, kind)
        found |= missing_in_half(address + rest * size, kind) << rest
    else:
        for j in range(d):
            value = read(address + j * column_stride, kind)
            found |= int(value != value) << j
    return found


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
    words, other = words_in(p), 0
    for i in range(at, at + words):
        other |= element(bits, i)
    if other == 0:
        return COMPLETE
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
    p.known[0] = COMPLETE + 1


@helper
def place_of_empty(tile):
    """Place of the first row without any value: after all others, and what fills up strips and tiles."""
    return LEAF + LEAF // FILLED + 2 * tile


@helper
def count_patterns(p, address, row_stride, column_stride, kind, count, d):
    """Number and count the patterns of the leaf's rows; how many there are.

    Counts that are added to again and again bound this: each waits for the last.
    """
    groups, mask, words = 0, p.known[1], words_in(p)
    if mask > 0:
        for r in range(count):
            found = missing_among(address + r * row_stride, column_stride, kind, d)
            groups = count_row(p, r, (found + 1) & mask, groups)
        return groups
    find_missing(address, row_stride, column_stride, kind, count, d, words, p.bits)
    for r in range(count):
        groups = count_row(p, r, number_of(p, p.bits, r * words), groups)
    return groups


@helper
def count_row(p, r, number, groups):
    """Count a row's pattern; how many patterns there are by then."""
    put(p.number, r, number)
    before = element(p.counts, number)
    put(p.counts, number, before + 1)
    if before == 0:
        put(p.group, groups, number)
        groups += 1
    return groups


@helper
def sort_rows(p, groups, count, many, strip, tile):
    """Sort the leaf's rows by the numbers of their patterns, which are counted.

    Rows of a pattern that has `many` are filled up to strips, complete ones and all others together to
    tiles, by repeating a row. Returns how many are complete, how many patterns have many rows, how many
    there are, and rows without any value.
    """
    complete, empty = p.counts[COMPLETE], p.counts[EMPTY]
    large, groups = order_groups(p, groups, many)
    place = complete + -complete % tile
    p.counts[COMPLETE] = 0
    p.counts[EMPTY] = place_of_empty(tile)
    for g in range(groups):
        number = p.group[g]
        p.begin[g], p.end[g] = place, place + p.counts[number]
        p.counts[number] = place
        place = p.end[g]
        if g < large:
            place += -(place - p.begin[g]) % strip
    for r in range(count):
        number = element(p.number, r)
        at = element(p.counts, number)
        put(p.order, at, r)
        put(p.counts, number, at + 1)
    for g in range(groups):
        p.counts[p.group[g]] = 0
    p.counts[EMPTY] = p.counts[COMPLETE] = 0
    fill_up(p, 0, complete, tile)
    for g in range(large):
        fill_up(p, p.begin[g], p.end[g], strip)
    if groups > large:
        for rest in range(place, place + tile):
            p.order[rest] = p.order[p.begin[large]]
    return complete, large, groups, empty


@helper
def order_groups(p, groups, many):
    """Patterns that many rows have first, complete and empty rows not at all: how many, and of all."""
    large, some = 0, 0
    for g in range(groups):
        number = p.group[g]
        if number != EMPTY and number != COMPLETE:
            p.group[some] = number
            if p.counts[number] >= many:
                p.group[some], p.group[large] = p.group[large], number
                large += 1
            some += 1
    return large, some


@helper
def fill_up(p, begin, end, step):
    """Repeat the first of some rows after the last, until their number is a multiple of the step."""
    for place in range(end, end + -(end - begin) % step):
        p.order[place] = p.order[begin]


@helper
def missing_columns(p, number, d, columns):
    """The columns of a pattern, in order, into `columns`; how many."""
    count, words = 0, words_in(p)
    for j in range(d):
        columns[count] = j
        count += (p.words[number * words + j // WORD] >> (j % WORD)) & 1
    return count


@helper
def observed_columns(p, number, d, columns):
    """The columns that a pattern leaves, in order, into `columns`; how many."""
    count, words = 0, words_in(p)
    for j in range(d):
        columns[count] = j
        count += 1 - ((p.words[number * words + j // WORD] >> (j % WORD)) & 1)
    return count
