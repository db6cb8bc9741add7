"""Rows of counts: logarithms of factorials, and log-densities that are linear in the counts.

Log-densities are seen from a centre that all components share, such as their mean rate: what is left to
each is Σ_j x_j · slope_kj, small where components differ little, and float32 keeps its digits. What they
have in common of a row (`common`) is worked out once, in float64.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

from fusem.kernels.elements import element
from fusem.kernels.exp_log import log
from fusem.kernels.gather import any_above, looked_up
from fusem.kernels.linear import forms_of_strip, linear_forms, linear_sums
from fusem.kernels.masked import add_masses
from fusem.kernels.policy import bind, helper
from fusem.kernels.simd import (
    add,
    div,
    double,
    filled,
    fma,
    lanes,
    larger,
    load,
    load_wide,
    mul,
    store,
    sub,
    where_known,
    where_less,
    zeros_wide,
)

TABLE = 1024  # counts whose factorials are in the table: 8 KB, of which small counts touch little
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
# The slope of a symbol that cannot be: times 0 it is 0, which −∞ is not. Log-densities below FLOOR are −∞.
IMPOSSIBLE = {"float64": -1e300, "float32": -1e37}
FLOOR = {"float64": -1e299, "float32": -1e36}


def log_factorials() -> np.ndarray:
    """log x! of the counts below TABLE."""
    return np.asarray(gammaln(np.arange(TABLE) + 1.0))


@helper
def log_factorial(
    x,  # IN  vector of whole numbers ≥ 0 in float64; for other lanes the result means nothing
    table,  # IN  (TABLE) log x!
):
    """log x! of each lane: from the table, beyond it Stirling's series, whose next term is below 1e-18."""
    last = filled(TABLE - 1.0, x)
    # NaN is not less than anything: its lane reads the end of the table
    inside = larger(where_less(x, last, x, last), filled(0.0, x))
    value = looked_up(table, 0, inside)
    if any_above(x, last):
        x, one = larger(x, last), filled(1.0, x)
        inverse = div(one, x)
        square = mul(inverse, inverse)
        rest = mul(inverse, fma(square, filled(-1.0 / 360.0, x), filled(1.0 / 12.0, x)))
        series = fma(add(x, filled(0.5, x)), log(x), add(sub(rest, x), filled(HALF_LOG_2PI, x)))
        value = where_less(last, x, series, value)
    return value


@helper
def term(row, slope, intercept, table):
    """What a column adds to what components have in common: x · slope + intercept − log x!."""
    x = double(row)
    linear = fma(x, filled(slope, x), filled(intercept, x))
    return sub(linear, log_factorial(x, table))


@helper
def known_term(row, slope, intercept, table):
    """`term`, 0 where x is missing."""
    value = term(row, slope, intercept, table)
    return where_known(double(row), value, filled(0.0, value))


@helper
def count(row):
    """What a column adds to the total of a row."""
    return double(row)


@helper
def known_count(row):
    """`count`, 0 where it is missing."""
    value = double(row)
    return where_known(value, value, filled(0.0, value))


@helper
def common(
    x,  # IN  (d columns) tile of counts
    slopes,  # IN  (d) float64
    intercepts,  # IN  (d) float64
    table,  # IN  (TABLE) log x!
    totals,  # IN  whether log n! is added, n the sum of the row
    out,  # OUT (tile) Σ_j x_j · slope_j + intercept_j − log x_j!
    d,
    tile,
):
    """What all components have in common of the rows of a tile."""
    strip = 4 * lanes(x)
    for r in range(0, tile, strip):
        value = total = double(zeros_wide(x))
        for j in range(d):
            row = load_wide(x, r * d + j * strip)
            value = add(value, term(row, element(slopes, j), element(intercepts, j), table))
            total = add(total, count(row))
        if totals:
            value = add(value, log_factorial(total, table))
        store(out, r, value)


@helper
def rule_out(logp, floor, n_components, tile, stride):
    """−∞ for all log-densities below a floor: a symbol that cannot be has been seen."""
    for k in range(n_components):
        for r in range(k * stride, k * stride + tile, 4 * lanes(logp)):
            value = load_wide(logp, r)
            least, nothing = filled(floor, value), filled(-math.inf, value)
            store(logp, r, where_less(value, least, nothing, value))


@helper
def known_load(array, index):
    """The vector at an element, 0 where it is missing."""
    value = load(array, index)
    return where_known(value, value, filled(0.0, value))


@helper
def known_load_wide(array, index):
    """The wide vector at an element, 0 where it is missing."""
    value = load_wide(array, index)
    return where_known(value, value, filled(0.0, value))


@helper
def where_missing(x, value, other):
    """`value`, but `other` in lanes where x is known."""
    return where_known(x, other, value)


known_common = bind(common.py_func, term=known_term, count=known_count)
known_forms_of_strip = bind(forms_of_strip.py_func, load_wide=known_load_wide)
known_linear_forms = bind(linear_forms.py_func, forms_of_strip=known_forms_of_strip)
known_linear_sums = bind(linear_sums.py_func, load=known_load, load_wide=known_load_wide)
add_seen = bind(add_masses.py_func, where_known=where_missing)
