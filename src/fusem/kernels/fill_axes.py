"""Missing values of independent columns, filled in: each component's mean or draw, by responsibilities."""

from __future__ import annotations

from fusem.kernels.elements import element, put
from fusem.kernels.missing_fill import drawn
from fusem.kernels.policy import Kernel
from fusem.kernels.transpose import GROUP, missing_in_group


def _fill_axes(
    address,  # IN  of the values
    rows,
    d,
    proba,  # IN  (rows · K) responsibilities
    means,  # IN  (K · d)
    deviations,  # IN  (K · d) standard deviations
    normal,  # IN  (rows · d) standard normal values to draw missing ones with, or empty: what is expected
    uniform,  # IN  (rows) numbers in [0, 1) to draw a component with, or empty
    values,  # INOUT (rows · d)
):
    """Fill in the missing values of rows that lie whole in memory."""
    n_components = means.size // d
    for r in range(rows):
        chosen, end = -1, (r + 1) * d
        for first in range(r * d, end, GROUP):
            last = first + GROUP
            if last <= end and missing_in_group(address + first * values.itemsize, values) == 0:
                continue
            for i in range(first, min(last, end)):
                known = element(values, i)
                if known == known:
                    continue
                j, value = i - r * d, 0.0
                if uniform.size == 0:
                    for k in range(n_components):
                        share = element(proba, r * n_components + k)
                        value += share * element(means, k * d + j)
                else:
                    if chosen < 0:
                        chosen = drawn(proba, r * n_components, uniform[r], n_components, 1)
                    value = means[chosen * d + j] + deviations[chosen * d + j] * normal[i]
                put(values, i, value)


fill_axes = Kernel(_fill_axes, "fill_axes")
