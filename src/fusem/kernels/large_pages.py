"""Fresh memory in large pages: the first touch of a small one takes as long as the kernels for many rows.

Measured on a virtual machine: 391 pages of 4 KB 0.6 ms, one of 2 MB 0.05 ms.
"""

from __future__ import annotations

import math
import mmap
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

PAGE = 2 << 20
# Bytes: less is not worth a page, for more NumPy asks for large ones itself. Results may be kept, and all of
# their last page is taken; in calls that follow each other small pages are there, touched before.
LEAST, LEAST_RESULT, MOST = PAGE // 8, PAGE // 4 * 3, 4 << 20
ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux alone has it


def room(shape: Any, dtype: DTypeLike, least: int = LEAST) -> NDArray[Any]:
    """An array of zeros, in large pages where it has so many bytes and the system has them.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : dtype
    least : int
        `LEAST_RESULT` for what is given to the user.
    """
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (operator.index(shape),)
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    if ADVICE is None or not least <= n_bytes < MOST:
        return np.zeros(shape, dtype)
    try:
        # one page more than is used: it need not begin at a multiple of its size
        size = (-(-n_bytes // PAGE) + 1) * PAGE
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(ADVICE)
    except OSError:  # a kernel without large pages
        return np.zeros(shape, dtype)
    begin = -np.frombuffer(memory, np.uint8).ctypes.data % PAGE
    return np.frombuffer(memory, dtype, math.prod(shape), begin).reshape(shape)
