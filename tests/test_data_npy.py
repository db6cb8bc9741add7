"""`.npy` files and memory maps: read where they lie, and watched from pass to pass."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from fusem.data import open_rows, open_weights, segments
from fusem.data.blocks import PIECE_BYTES
from tests.traced import traced_peak

X = np.random.default_rng(0).normal(size=(50, 3))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch_later(path) -> None:
    """Give a file a time that differs, however coarse the clock of the file system is."""
    seen = Path(path).stat()
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 10**9))


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "i4", "f2", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("as_path", [str, Path])
def test_npy(dtype, order, as_path):
    array = np.asarray((3 * X).astype(dtype), order=order)
    np.save("x.npy", array)
    rows = open_rows(as_path("x.npy"))
    assert repr(rows).startswith("<Rows of 'x.npy': 50 x 3 float")
    assert rows.dtype == (np.float32 if dtype in ("f4", "f2") else np.float64)
    for _ in range(2):
        np.testing.assert_array_equal(rows.to_array(), array.astype(rows.dtype))
    np.testing.assert_array_equal(open_rows("x.npy", columns=[2, 0]).to_array()[:, 1], array[:, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_npy_of_floats_is_read_where_it_lies(dtype):
    np.save("x.npy", X.astype(dtype))
    (block,) = open_rows("x.npy").blocks()
    base = block
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not block.flags.writeable


def test_npy_takes_no_memory():
    np.save("x.npy", np.zeros((2**20, 4)))
    rows = open_rows("x.npy")
    assert traced_peak(lambda: [None for _ in segments(rows, None, 2**16)]) < 100_000


def test_conversion_of_npy_takes_bounded_memory():
    np.save("x.npy", np.zeros((2**20, 8), dtype="i4"))
    rows = open_rows("x.npy")
    assert traced_peak(lambda: [None for _ in rows.blocks()]) < 3 * PIECE_BYTES


def test_a_long_npy_is_looked_at_again_and_again_without_copies(monkeypatch):
    monkeypatch.setattr("fusem.data.arrays.WATCHED_ROWS", 16)
    np.save("x.npy", X)
    rows = open_rows("x.npy")
    parts = [part for _, part, _ in segments(rows, None, 8)]
    assert [len(block) for block in rows.blocks()] == [16, 16, 16, 2]
    assert not any(part.flags.owndata for part in parts)
    blocks = rows.blocks()
    next(blocks)
    os.truncate("x.npy", 200)
    with pytest.raises(ValueError, match=r"'x\.npy' changed while it was being read"):
        next(blocks)


def test_npy_of_one_column():
    np.save("x.npy", X[:, 0])
    np.testing.assert_array_equal(open_rows("x.npy").to_array(), X[:, :1])
    np.testing.assert_array_equal(open_weights("x.npy").to_array(), X[:, :1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"'x\.npy' is not an \.npy file, or is damaged"),
        (b"hello, world", r"'x\.npy' is not an \.npy file.*Write it with np\.save"),
        (X[:0], r"'x\.npy': Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"),
        (X[:, :0], r"'x\.npy': Found array with 0 feature\(s\) \(shape=\(50, 0\)\)"),
        (X.astype(object), "pickled Python objects"),
        (X + 1j, r"Complex data not supported\n'x\.npy'"),
        (np.zeros((2, 2, 2)), r"dim 3\. 'x\.npy' has shape"),
        (np.array(3.0), "scalar array"),
        (np.array(["a"]), r"'x\.npy' holds 'a' in row 0"),
    ],
)
def test_wrong_npy(content, message):
    if isinstance(content, bytes):
        Path("x.npy").write_bytes(content)
    else:
        np.save("x.npy", content)
    with pytest.raises(ValueError, match=message):
        open_rows("x.npy")


def test_npy_cut_short_anywhere():
    buffer = io.BytesIO()
    np.save(buffer, X)
    whole = buffer.getvalue()
    for size in [*range(0, 140, 7), len(whole) // 2, len(whole) - 1]:
        Path("x.npy").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"'x\.npy' is (cut short: its header|not an \.npy)"):
            open_rows("x.npy")


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (X[:49], r"held shape \(50, 3\) of float64 and now is shape \(49, 3\) of float64"),
        (X[:, :2], r"now is shape \(50, 2\)"),
        (X.astype(np.float32), "now is shape .* of float32"),
        (X + 1, "it was written to"),
        (None, "was removed while it was being read"),
    ],
)
def test_npy_that_changes_between_passes(later, message):
    np.save("x.npy", X)
    rows = open_rows("x.npy")
    rows.to_array()
    if later is None:
        Path("x.npy").unlink()
    else:
        np.save("new.npy", later)
        Path("new.npy").replace("x.npy")
        touch_later("x.npy")
    with pytest.raises(ValueError, match=rf"'x\.npy' (changed|was removed).*{message}|{message}"):
        rows.to_array()


def test_npy_that_is_cut_between_passes():
    np.save("x.npy", X)
    rows = open_rows("x.npy")
    os.truncate("x.npy", 10)
    with pytest.raises(ValueError, match="now is no longer readable"):
        rows.to_array()


def test_npy_that_changes_during_a_pass():
    np.save("x.npy", X)
    blocks = open_rows("x.npy").blocks()
    next(blocks)
    touch_later("x.npy")
    with pytest.raises(ValueError, match="changed while it was being read"):
        next(blocks)


def test_memmap():
    np.save("x.npy", X)
    array = np.load("x.npy", mmap_mode="r+")
    rows = open_rows(array[10:])
    np.testing.assert_array_equal(rows.to_array(), X[10:])
    assert np.shares_memory(rows.to_array(), array)
    array[10] = 7.0  # whoever holds the map may write through it
    touch_later("x.npy")
    assert rows.to_array()[0, 0] == 7.0
    os.truncate("x.npy", 500)
    with pytest.raises(ValueError, match=r"The file of X, .*x\.npy', changed.* now has 500"):
        rows.to_array()
    os.truncate("x.npy", 50 * 3 * 8 + 128)
    Path("x.npy").unlink()  # an open file lives on without its name
    assert len(rows.to_array()) == 40
    assert len(open_rows(array).to_array()) == 50
