"""One look at values: is any missing, is any infinite."""

from __future__ import annotations

from fusem.kernels.lane_sums import total
from fusem.kernels.policy import Kernel, helper
from fusem.kernels.simd import fma, lanes, larger, load_wide, minus_distance, mul, sub, zeros_wide

FINITE, MISSING, INFINITE = 0, 1, 2


@helper
def look(values, begin, end):
    """INFINITE where any of some values is infinite, else MISSING where any is NaN, else FINITE."""
    step, zero = 4 * lanes(values), zeros_wide(values)
    whole = end - (end - begin) % step
    # 0 · x is NaN where x is NaN or infinite; the largest |x| passes NaN over
    products = largest = zero
    for i in range(begin, whole, step):
        x = load_wide(values, i)
        products = fma(x, zero, products)
        largest = larger(sub(zero, minus_distance(x, zero)), largest)
    wrong, top = total(products), total(mul(largest, zero))
    for i in range(whole, end):
        x = values[i]
        wrong += x * 0.0
        if x == x:
            top += x * 0.0
    if top != top:
        return INFINITE
    return MISSING if wrong != wrong else FINITE


def _scan_finite(values):
    """`look` at a flat array."""
    return look(values, 0, values.size)


scan_finite = Kernel(_scan_finite, "scan_finite")
