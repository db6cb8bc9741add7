"""Fresh memory: zeros of the wanted shape, whatever the system has."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from fusem.kernels import large_pages
from fusem.kernels.large_pages import LEAST, LEAST_RESULT, MOST, PAGE, room

SHAPES = [0, 5, np.int64(7), [2, 3], (3, 4), LEAST // 8, (LEAST // 8, 3), PAGE // 8 + 1, MOST // 8]


def check(shape, dtype):
    array = room(shape, dtype)
    assert array.shape == (tuple(shape) if isinstance(shape, tuple | list) else (shape,))
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert not array.any()
    array[...] = 3
    assert (array == 3).all()
    return array


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("shape", SHAPES)
def test_room_is_zeros_that_can_be_written(shape, dtype):
    check(shape, dtype)


@pytest.mark.skipif(large_pages.ADVICE is None, reason="only Linux is asked for large pages")
def test_room_begins_at_a_page():
    assert check(LEAST, np.uint8).ctypes.data % PAGE == 0
    assert check(LEAST - 1, np.uint8).base is None  # not worth one
    assert room(LEAST_RESULT - 1, np.uint8, LEAST_RESULT).base is None
    assert room(LEAST_RESULT, np.uint8, LEAST_RESULT).base is not None
    assert check(MOST, np.uint8).base is None  # NumPy asks for them


def test_arrays_do_not_share_their_room():
    arrays = [room(LEAST, np.uint8) for _ in range(3)]
    for value, array in enumerate(arrays, start=1):
        array[:] = value
    assert [set(array) for array in arrays] == [{1}, {2}, {3}]


def test_a_system_without_large_pages(monkeypatch):
    monkeypatch.setattr(large_pages, "ADVICE", None)
    assert check(LEAST, np.uint8).base is None


@pytest.mark.skipif(large_pages.ADVICE is None, reason="only Linux is asked for large pages")
def test_a_kernel_that_refuses(monkeypatch):
    class Refusing(mmap.mmap):
        def madvise(self, *arguments):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(large_pages.mmap, "mmap", Refusing)
    assert check(LEAST, np.uint8).base is None
