"""Segments depend on the row index alone, and are views wherever one block holds their rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusem.data import Rows, open_rows, open_weights, segments
from fusem.em.sweep import tapered
from fusem.em.tree import Tree
from tests.reference import tree_sum
from tests.traced import traced_peak

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any)


class Blocks(Rows):
    """Rows given as they come, to say the wrong things as well."""

    def __init__(self, blocks, *, n_rows=None, n_columns=2, dtype=np.float64) -> None:
        self.given, self.n_rows, self.n_columns = blocks, n_rows, n_columns
        self.dtype = np.dtype(dtype)
        self.closed = 0

    def blocks(self):
        try:
            yield from self.given
        finally:
            self.closed += 1


def rows_of(n, d=2, dtype=np.float64) -> np.ndarray:
    return np.arange(n * d, dtype=dtype).reshape(n, d)


def cut(X, sizes) -> list[np.ndarray]:
    """Cut X into chunks of these sizes, which sum to its length."""
    return np.split(X, np.cumsum(sizes)[:-1])


@settings(deadline=None)
@given(SIZES, st.integers(1, 20), st.sampled_from("CF"), st.sampled_from([np.float32, np.float64]))
def test_any_split_gives_the_same_segments(sizes, length, order, dtype):
    X = rows_of(sum(sizes), dtype=dtype)
    chunks = [np.asarray(chunk, order=order) for chunk in cut(X, sizes)]
    for source in (chunks, lambda: iter(chunks)):
        rows = open_rows(source)
        for _ in range(2):  # a stream knows its length the second time
            got = list(segments(rows, None, length))
            assert [first for first, _, _ in got] == list(range(0, len(X), length))
            assert all(len(part) == length for _, part, _ in got[:-1])
            assert all(w is None for _, _, w in got)
            together = np.concatenate([part for _, part, _ in got])
            assert together.dtype == dtype
            np.testing.assert_array_equal(together, X)


@settings(deadline=None)
@given(SIZES, st.data(), st.integers(1, 20))
def test_weights_are_cut_where_the_rows_are(sizes, data, length):
    n = sum(sizes)
    stops = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    X, w = rows_of(n), np.linspace(0.0, 1.0, n)
    weights = open_weights([part.astype(np.float32) for part in np.split(w, stops)])
    got = list(segments(open_rows(cut(X, sizes)), weights, length))
    np.testing.assert_array_equal(np.concatenate([part for _, part, _ in got]), X)
    np.testing.assert_array_equal(
        np.concatenate([part for _, _, part in got]), w.astype(np.float32).astype(np.float64)
    )
    for _, part, weight in got:
        assert weight.shape == (len(part),)
        assert weight.dtype == np.float64
        assert weight.flags.c_contiguous


@settings(deadline=None)
@given(SIZES, st.integers(1, 20))
def test_views_exactly_where_one_block_holds_a_segment(sizes, length):
    chunks = [chunk.copy() for chunk in cut(rows_of(sum(sizes)), sizes)]
    ends = np.cumsum(sizes)
    for first, part, _ in segments(open_rows(chunks), None, length):
        block = np.searchsorted(ends, first, side="right")
        inside = first + len(part) <= ends[block]
        assert any(np.shares_memory(part, chunk) for chunk in chunks) == inside


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_array_is_only_sliced(order):
    X = np.asarray(rows_of(2500, 3), order=order)
    got = list(segments(open_rows(X), None, 1024))
    assert [len(part) for _, part, _ in got] == [1024, 1024, 452]
    for first, part, _ in got:
        assert np.shares_memory(part, X[first : first + 1024])
        assert part.strides == X.strides


def test_contiguous_weights_are_only_sliced():
    w = np.linspace(1.0, 2.0, 2500)
    for first, _, part in segments(open_rows(rows_of(2500)), open_weights(w), 1024):
        assert np.shares_memory(part, w[first : first + 1])


def test_copied_segments_keep_the_memory_order_of_their_parts():
    chunks = [np.asfortranarray(rows_of(5)), np.asfortranarray(rows_of(5))]
    (_, part, _), *_ = segments(open_rows(chunks), None, 10)
    assert part.flags.f_contiguous


def test_segments_that_are_kept_do_not_change():
    """Threads work on several segments at once: a copied one has memory of its own."""
    X = rows_of(30)
    kept = list(segments(open_rows(cut(X, [7, 7, 7, 9])), None, 10))
    for first, part, _ in kept:
        np.testing.assert_array_equal(part, X[first : first + 10])


def test_a_long_segment_takes_no_more_memory_than_the_rows():
    rows = open_rows([rows_of(3), rows_of(3)])
    assert traced_peak(lambda: list(segments(rows, None, 2**40))) < 10_000


@pytest.mark.parametrize("length", [0, -1])
def test_segments_have_rows(length):
    with pytest.raises(ValueError, match=f"at least 1, got {length}"):
        segments(open_rows(rows_of(3)), None, length)


@pytest.mark.parametrize(
    ("X", "w", "message"),
    [
        (rows_of(100), np.ones(90), "X has 100 rows and sample_weight has 90"),
        (rows_of(100), np.ones(110), "X has 100 rows and sample_weight has 110"),
        (rows_of(100), lambda: [np.ones(90)], "X has 100 rows and sample_weight has 90"),
        (rows_of(96), lambda: [np.ones(100)], "X has 96 rows and sample_weight has 100"),
        (rows_of(96), lambda: [np.ones(130)], "X has 96 rows and sample_weight has at least 112"),
        (lambda: [rows_of(96)], lambda: [np.ones(80)], "X has at least 96 .* has 80"),
        (lambda: [rows_of(80)], lambda: [np.ones(96)], "X has 80 .* has at least 96"),
    ],
)
def test_rows_and_weights_of_different_length(X, w, message):
    with pytest.raises(ValueError, match=message):
        list(segments(open_rows(X), open_weights(w), 16))


def test_weights_of_several_columns():
    with pytest.raises(ValueError, match="W has 2 columns: there must be one weight per row"):
        segments(open_rows(rows_of(3)), open_rows(rows_of(3), label="W"), 2)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros((3, 4)), r"block 1 .*shape \(3, 4\)"),
        (np.zeros(3), r"block 1 .*shape \(3,\)"),
        (np.zeros((3, 2), np.float32), "block 1 .*dtype float32"),
        (np.zeros((3, 2), ">f8"), "block 1 .*dtype >f8"),
    ],
)
def test_a_block_that_is_not_as_announced(block, message):
    rows = Blocks([rows_of(3), block])
    for use in (lambda: list(segments(rows, None, 2)), rows.to_array):
        with pytest.raises(ValueError, match=message):
            use()
    assert rows.closed == 2


@pytest.mark.parametrize("n_rows", [5, 7])
def test_a_pass_of_another_length_than_announced(n_rows):
    with pytest.raises(ValueError, match=f"announced {n_rows} rows, but gave 6"):
        list(segments(Blocks([rows_of(6)], n_rows=n_rows), None, 4))


@pytest.mark.parametrize("weighted", [False, True])
def test_an_abandoned_pass_closes_the_source(weighted):
    rows, weights = Blocks([rows_of(6)]), Blocks([rows_of(6, 1)], n_columns=1)
    part = segments(rows, weights if weighted else None, 2)
    next(part)
    part.close()
    assert rows.closed == 1
    assert weights.closed == weighted


def test_to_array_of_one_block_is_a_view():
    X = rows_of(6)
    assert np.shares_memory(open_rows(X).to_array(), X)
    np.testing.assert_array_equal(open_rows([X[:2], X[2:]]).to_array(), X)
    assert Blocks([]).to_array().shape == (0, 2)


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 40), st.integers(0, 3), st.integers(1, 3))
def test_segments_of_rows_in_memory_get_shorter_to_the_end(n, length, most, n_jobs):
    X = rows_of(n)
    got = list(tapered(open_rows(X), None, length, most, n_jobs))
    heights = [height for height, _ in got]
    assert heights == sorted(heights, reverse=True)
    assert max(heights) <= most
    end = 0
    for height, (first, part, _) in got:
        assert first == end
        assert first % (length << height) == 0
        assert np.shares_memory(part, X)
        assert len(part) == min(length << height, n - first)
        if height > 0:  # the others have as much left to do
            assert len(part) * n_jobs <= n - first
        end = first + len(part)
    assert end == n


def test_segments_of_chunks_are_all_of_one_length():
    chunks = [rows_of(70), rows_of(90)]
    given_heights = [height for height, _ in tapered(open_rows(chunks), None, 10, 3, 2)]
    assert given_heights == [0] * 16
    weights = open_weights(np.ones(160))
    assert {height for height, _ in tapered(open_rows(chunks), weights, 10, 3, 2)} == {0}
    weights = open_weights(lambda: iter([np.ones(100), np.ones(60)]))
    in_memory = open_rows(rows_of(160))
    assert {height for height, _ in tapered(in_memory, weights, 10, 3, 2)} == {0}


@pytest.mark.parametrize("heights", [[2, 1, 0, 0], [1, 1, 1, 0, 0], [2, 0, 0, 0, 0], [0] * 8])
def test_a_tree_takes_segments_of_any_height_in_any_order(heights):
    """Sums of large and small numbers show the order they were made in."""
    rng, n = np.random.default_rng(0), sum(1 << height for height in heights)
    units = rng.normal(size=n) * 10.0 ** rng.integers(0, 17, size=n)

    def complete(values):
        half = len(values) // 2
        return values[0] if not half else complete(values[:half]) + complete(values[half:])

    expected = tree_sum(list(units))
    for seed in range(5):
        tree, pieces, begin = Tree(1), [], 0
        for height in heights:
            pieces.append((begin, height))
            begin += 1 << height
        for begin, height in np.random.default_rng(seed).permutation(pieces):
            part = complete(units[begin : begin + (1 << height)])
            tree.add(int(begin), np.array([part]), int(height))
        assert tree.total()[0] == expected
