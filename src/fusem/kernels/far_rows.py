"""Rows so far from all states that sums with their log-densities lose what tells one path from another."""

from __future__ import annotations

import math

from fusem.kernels.gather import any_above
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, filled, larger, load_as, store, sub, where_less
from fusem.kernels.states import LANES, states_8

FAR = (
    2.0**26
)  # the largest of a row's log-densities lies as far below 0: then the last bit of a sum is 1e-8


@helper
def bring_near(m, n_states, stride, columns):
    """Take the largest off the log-densities of far rows of a tile; the alarm says that there are some."""
    logp = m.tile.logp
    for r in range(0, columns, LANES):
        top = load_as(logp, r, states_8())
        for j in range(1, n_states):
            top = larger(load_as(logp, j * stride + r, top), top)
        far = filled(FAR, top)
        depth = sub(states_8(), top)
        if any_above(depth, far):
            m.alarm[0] = 1.0
            # what cannot be stays so
            depth = where_less(depth, filled(math.inf, top), depth, states_8())
            depth = where_less(far, depth, depth, states_8())
            for j in range(n_states):
                at = j * stride + r
                store(logp, at, add(load_as(logp, at, top), depth))
