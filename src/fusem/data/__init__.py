"""Rows from anywhere, as re-iterable blocks of a known width.

`open_rows` recognises what it is given, `Rows` is the contract every source fulfils, and
`segments` re-batches blocks of any size to the fixed row ranges that the engine sums over.
"""

from fusem.data.blocks import Rows, segments
from fusem.data.open import open_rows, open_weights

__all__ = ["Rows", "open_rows", "open_weights", "segments"]
