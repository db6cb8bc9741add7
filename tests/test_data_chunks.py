"""Chunks: lists, re-iterables and functions, and everything that can be wrong with them."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from fusem.data import open_rows, open_weights, segments
from tests.sources import Chunks
from tests.traced import traced_peak

X = np.random.default_rng(0).normal(size=(60, 3))
PARTS = [X[:20], X[20:20], X[20:25], X[25:]]
NARROW = X.astype(np.float32)


def chunks():
    yield from PARTS


@pytest.mark.parametrize(
    "source",
    [
        PARTS,
        tuple(PARTS),
        Chunks(PARTS),
        dict(enumerate(PARTS)).values(),
        chunks,
        lambda: PARTS,
        lambda: iter(PARTS),
        lambda: (part.tolist() for part in PARTS if len(part)),
        [open_rows(part) for part in PARTS if len(part)],
    ],
    ids=[
        "list",
        "tuple",
        "re-iterable",
        "view of a dictionary",
        "generator function",
        "function of a list",
        "function of an iterator",
        "lists of rows",
        "list of Rows",
    ],
)
def test_chunks_in_every_form(source):
    rows = open_rows(source)
    assert (rows.n_columns, rows.dtype, rows.names) == (3, np.float64, None)
    for _ in range(3):
        np.testing.assert_array_equal(rows.to_array(), X)
    assert rows.n_rows == 60


def test_length_of_a_list_is_known_at_once_and_of_a_stream_after_a_pass():
    assert open_rows(PARTS).n_rows == 60
    rows = open_rows(chunks)
    assert rows.n_rows is None
    next(rows.blocks())
    assert rows.n_rows is None
    rows.to_array()
    assert rows.n_rows == 60


@pytest.mark.parametrize("make", [list, lambda parts: lambda: iter(parts)])
def test_chunks_are_views(make):
    blocks = list(open_rows(make(PARTS)).blocks())
    assert all(np.shares_memory(block, X) for block in blocks if len(block))


@pytest.mark.parametrize(
    ("parts", "dtype"),
    [
        ([NARROW, NARROW], np.float32),
        ([NARROW, NARROW.astype(np.float16)], np.float32),
        ([NARROW, X], np.float64),
        ([NARROW, np.ones((2, 3), dtype=np.int8)], np.float64),
        ([np.ones((2, 3), dtype=bool), NARROW], np.float64),
    ],
)
def test_a_list_is_float32_only_if_all_chunks_are(parts, dtype):
    rows = open_rows(parts)
    assert rows.dtype == dtype
    assert {block.dtype for block in rows.blocks()} == {np.dtype(dtype)}
    np.testing.assert_array_equal(rows.to_array(), np.concatenate(parts).astype(dtype))


def test_a_stream_has_the_dtype_of_its_first_chunk():
    wide = open_rows(lambda: iter([X, NARROW, np.ones((2, 3), int)]))
    np.testing.assert_array_equal(wide.to_array(), np.concatenate([X, NARROW, np.ones((2, 3))]))
    narrow = open_rows(lambda: iter([NARROW, NARROW.astype(np.float16)]))
    assert narrow.to_array().dtype == np.float32
    chosen = open_rows(lambda: iter([NARROW, X]), dtype=np.float64)
    np.testing.assert_array_equal(chosen.to_array(), np.concatenate([NARROW, X]))


@pytest.mark.parametrize("later", [X, X.astype(int), X.tolist()])
def test_a_stream_of_float32_does_not_lose_digits_of_a_later_chunk(later):
    rows = open_rows(lambda: iter([NARROW, NARROW, later]))
    with pytest.raises(ValueError, match=r"chunk 2 .* of X is not float32 .*dtype=np\.float64"):
        rows.to_array()


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            X[:, :2],
            ValueError,
            r"chunk 2 \(counted from 0\) of X has 2 columns, the first .* had 3",
        ),
        (X[:, 0], ValueError, "chunk 2 .* has one dimension: is it a row or a piece of a column"),
        ([1.0, 2.0, 3.0], ValueError, "chunk 2 .* has one dimension"),
        (X[:2].reshape(1, 2, 3), ValueError, r"dim 3\. chunk 2 .* has shape \(1, 2, 3\)"),
        (X + 1j, ValueError, "Complex data not supported\nchunk 2"),
        (np.array([["a", "b", "c"]]), ValueError, "chunk 2 .* holds 'a' in row 0, column 0"),
        (None, TypeError, "chunk 2 .* is None"),
        (3.0, ValueError, "scalar array(.|\n)*chunk 2"),
        (chunks(), TypeError, "chunk 2 .* is a one-shot iterator"),
    ],
)
def test_a_wrong_chunk_is_named(bad, error, message):
    with pytest.raises(error, match=message):
        open_rows([X, X, bad])
    rows = open_rows(lambda: iter([X, X, bad]))
    with pytest.raises(error, match=message):
        rows.to_array()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (chunks(), TypeError, "one-shot iterator.*function that returns a fresh iterator.*`lambda"),
        (iter(PARTS), TypeError, "one-shot iterator"),
        (map(np.asarray, PARTS), TypeError, r"one-shot iterator \(map\)"),
        (lambda path: iter([X]), TypeError, "cannot be called without arguments.*'path'"),
        (lambda: None, TypeError, "returned None.*forget `yield`"),
        (lambda: X, TypeError, "returned an object of type ndarray.*iterator over chunks"),
        (lambda: "x.npy", TypeError, "returned an object of type str"),
        (lambda: {"a": X}, TypeError, "returned an object of type dict"),
        (lambda: iter([]), ValueError, r"0 sample\(s\): X gave no chunk"),
        (Chunks([]), ValueError, r"0 sample\(s\): X gave no chunk"),
        ([X[:0], X[:0]], ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (lambda: iter([X[:, :0]]), ValueError, r"0 feature\(s\) \(shape=\(\?, 0\)\)"),
        (lambda: iter([1.0, 2.0]), ValueError, "chunk 0"),
        ((X, X[:, 0]), ValueError, "chunk 1 .* has one dimension"),
    ],
)
def test_a_wrong_source(source, error, message):
    with pytest.raises(error, match=message):
        open_rows(source)


class OneShot:
    """An iterator in disguise."""

    def __init__(self) -> None:
        self.chunks = iter(PARTS)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)


def test_an_iterator_in_disguise_is_seen():
    with pytest.raises(TypeError, match=r"one-shot iterator \(OneShot\)"):
        open_rows(OneShot())


@pytest.mark.parametrize("same", [iter(PARTS), chunks()])
def test_the_same_iterator_again_is_seen_before_a_row_is_lost(same):
    rows = open_rows(lambda: same)
    with pytest.raises(
        ValueError, match=r"same iterator again.*return a fresh iterator in each call"
    ):
        next(rows.blocks())


def test_a_source_that_is_used_up_is_seen():
    left = [PARTS]
    rows = open_rows(lambda: iter(left.pop() if left else [X[:0]]))
    with pytest.raises(ValueError, match=r"0 sample\(s\): X gave no rows in this pass\. It must"):
        rows.to_array()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([X[:50]], "changed while it was being read: it gave 60 rows before and 50 now"),
        ([X, X[:5], X], "it gave 60 rows before and at least 65 now"),
        ([X[:0]], "gave no rows in this pass, but 60 before"),
        (
            [NARROW],
            "changed while it was being read: its first chunk is float32 now and was float64",
        ),
        ([X[:, :2]], "chunk 0 .* has 2 columns, the first chunk had 3"),
    ],
)
def test_a_source_that_changes_between_passes(second, message):
    versions = [PARTS, PARTS, second]  # the first is only looked at
    rows = open_rows(lambda: iter(versions.pop(0)))
    rows.to_array()
    with pytest.raises(ValueError, match=message):
        rows.to_array()


def test_a_buffer_that_is_filled_again_is_seen():
    def refill():
        buffer = np.empty((20, 3))
        for start in range(0, 60, 20):
            buffer[:] = X[start : start + 20]
            yield buffer

    with pytest.raises(ValueError, match=r"wrote chunk 1 over chunk 0.*yield buffer\.copy\(\)"):
        list(segments(open_rows(refill), None, 7))


def test_one_array_may_be_yielded_many_times():
    rows = open_rows(lambda: (X for _ in range(5)))
    np.testing.assert_array_equal(rows.to_array(), np.tile(X, (5, 1)))


def test_an_error_of_the_source_says_which_chunk():
    def broken():
        yield X
        raise OSError("disk gone")

    rows = open_rows(broken)
    with pytest.raises(OSError, match="disk gone") as caught:
        rows.to_array()
    assert caught.value.__notes__ == ["Raised while X made chunk 1."]


def test_an_abandoned_generator_is_closed():
    closed = []

    def watched():
        try:
            yield from PARTS
        finally:
            closed.append(True)

    rows = open_rows(watched)
    assert len(closed) == 1  # the one that was only looked at
    blocks = rows.blocks()
    next(blocks)
    blocks.close()
    assert len(closed) == 2


def test_streams_keep_no_chunk():
    made = []

    class Noted(np.ndarray):
        """An array that can be referred to weakly."""

    def noted():
        for _ in range(20):
            chunk = np.zeros((1000, 3)).view(Noted)
            made.append(weakref.ref(chunk))
            yield chunk

    def alive() -> int:
        return sum(chunk() is not None for chunk in made)

    rows = open_rows(noted)
    assert alive() == 0
    assert max(alive() for _ in segments(rows, None, 1000)) <= 3
    assert alive() == 0


def test_streams_take_the_memory_of_few_chunks():
    chunk_bytes = 50_000 * 3 * 8
    rows = open_rows(lambda: (np.zeros((50_000, 3)) for _ in range(30)))
    assert traced_peak(lambda: [None for _ in segments(rows, None, 4096)]) < 5 * chunk_bytes


def test_conversion_of_chunks_takes_bounded_memory():
    parts = [np.zeros((400_000, 10), dtype=np.float32), np.zeros((4, 10))]  # float64 together
    rows = open_rows(parts)
    assert traced_peak(lambda: [None for _ in rows.blocks()]) < 4e6 * 3


def test_columns_and_dtype_are_taken_of_every_chunk():
    for source in (PARTS, chunks):
        rows = open_rows(source, columns=[2, 0], dtype=np.float32)
        np.testing.assert_array_equal(rows.to_array(), NARROW[:, [2, 0]])


@pytest.mark.parametrize(
    "source",
    [
        [np.ones(3), np.ones(2)],
        [np.ones((3, 1)), np.ones(2)],
        lambda: iter([np.ones(3), [1.0, 1.0]]),
        Chunks([np.ones(4), np.ones(1)]),
    ],
)
def test_weights_may_come_in_flat_chunks(source):
    weights = open_weights(source)
    np.testing.assert_array_equal(weights.to_array(), np.ones((5, 1)))


def test_weights_in_chunks_of_two_columns():
    with pytest.raises(ValueError, match=r"one number per row, got shape \(\?, 3\)"):
        open_weights(chunks)
