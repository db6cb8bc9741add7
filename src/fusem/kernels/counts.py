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
from fusem.kernels.exp_log import log, log_defect
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
NEAR = 0.5  # logarithms below are those of 1 and the difference, which has all digits
# The slope of a symbol that cannot be: times 0 it is 0, which −∞ is not. Log-densities below FLOOR are −∞.
IMPOSSIBLE = {"float64": -1e300, "float32": -1e37}
FLOOR = {"float64": -1e299, "float32": -1e36}


def log_factorials() -> np.ndarray:
    """log x! of the counts below TABLE."""
    return np.asarray(gammaln(np.arange(TABLE) + 1.0))


def log_ratio(values: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """log(values / centre), to rounding of the result where they are nearly equal too; 0 of a value 0."""
    own = np.where(values > 0.0, values, centre)
    with np.errstate(over="ignore", under="ignore"):
        ratio, apart = own / centre, (own - centre) / centre
    whole = (ratio >= np.finfo(np.float64).tiny) & (ratio < np.inf)  # else digits are lost, or all
    far = np.where(whole, np.log(np.where(whole, ratio, 1.0)), np.log(own) - np.log(centre))
    near = np.abs(far) < NEAR
    return np.asarray(np.where(near, np.log1p(np.where(near, apart, 0.0)), far))


def beyond_one(probabilities: np.ndarray) -> np.ndarray:
    """Sum of the last axis, less 1: what rounding made of it, in longer numbers where there are any."""
    return np.asarray(probabilities.sum(axis=-1, dtype=np.longdouble) - 1.0, dtype=np.float64)


@helper
def beyond_stirling(x, inverse):
    """log x! − (x log x − x) beyond the table: Stirling's series, whose next term is below 1e-18."""
    square = mul(inverse, inverse)
    rest = mul(inverse, fma(square, filled(-1.0 / 360.0, x), filled(1.0 / 12.0, x)))
    return fma(filled(0.5, x), log(x), add(rest, filled(HALF_LOG_2PI, x)))


@helper
def deviance(x, inverse, slope, centre):
    """x log(x / c) − (x − c) of counts x beyond the table and c > 0, where `slope` is log c.

    Where x is near c its terms are many times the result.
    """
    f, quarter, least = mul(sub(centre, x), inverse), filled(0.25, x), filled(-0.25, x)
    value = mul(x, log_defect(larger(where_less(f, quarter, f, quarter), least)))
    apart = larger(f, sub(filled(0.0, x), f))
    if any_above(apart, quarter):
        ratio, most = div(x, centre), filled(1e300, x)
        ratio = where_less(
            ratio, most, log(where_less(ratio, most, ratio, most)), sub(log(x), slope)
        )
        value = where_less(quarter, apart, sub(mul(x, ratio), sub(x, centre)), value)
    return value


@helper
def from_table(x, table):
    """log x! of each lane that holds a whole number below `TABLE`; of others it means nothing."""
    last = filled(TABLE - 1.0, x)
    # NaN is not less than anything: its lane reads the end of the table
    return looked_up(table, 0, larger(where_less(x, last, x, last), filled(0.0, x)))


@helper
def term(row, slope, centre, table):
    """What a column adds to what components have in common: x · slope − c − log x!, slope = log c."""
    x = double(row)
    last = filled(TABLE - 1.0, x)
    value = sub(fma(x, slope, sub(filled(0.0, x), centre)), from_table(x, table))
    if any_above(x, last):
        large = larger(x, last)
        inverse = div(filled(1.0, x), large)
        apart = add(deviance(large, inverse, slope, centre), beyond_stirling(large, inverse))
        value = where_less(last, x, sub(filled(0.0, x), apart), value)
    return value


@helper
def known_term(row, slope, centre, table):
    """`term`, 0 where x is missing."""
    value = term(row, slope, centre, table)
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
    slopes,  # IN  (d) float64, log c
    centres,  # IN  (d) float64, c > 0
    table,  # IN  (TABLE) log x!
    out,  # OUT (tile) Σ_j x_j · log c_j − c_j − log x_j!
    d,
    tile,
):
    """What all components have in common of the rows of a tile."""
    strip = 4 * lanes(x)
    for r in range(0, tile, strip):
        value = double(zeros_wide(x))
        for j in range(d):
            row = load_wide(x, r * d + j * strip)
            slope = filled(element(slopes, j), value)
            value = add(value, term(row, slope, filled(element(centres, j), value), table))
        store(out, r, value)


@helper
def common_of_total(
    x,  # IN  (d columns) tile of counts
    slopes,  # IN  (d) float64, log c
    centres,  # IN  (d) float64, probabilities c > 0
    excess,  # IN  Σ_j c_j − 1, rounding
    table,  # IN  (TABLE) log x!
    out,  # OUT (tile) log n! + Σ_j x_j · log c_j − log x_j!, n the sum of the row
    d,
    tile,
):
    """The same of columns that share a total: of a large one that of n c, less what it says of n itself.

    A row has all values or none: else the columns that it has would not sum to 1.
    """
    strip = 4 * lanes(x)
    for r in range(0, tile, strip):
        total = scale = more = double(zeros_wide(x))
        for j in range(d):
            total = add(total, count(load_wide(x, r * d + j * strip)))
        value = from_table(total, table)
        last = filled(TABLE - 1.0, total)
        if any_above(total, last):
            large = larger(total, last)
            scale = where_less(last, total, large, scale)
            more = where_less(last, total, log(large), more)
            inverse = div(filled(1.0, large), large)
            closing = fma(large, filled(excess, large), beyond_stirling(large, inverse))
            value = where_less(last, total, closing, value)
        for j in range(d):
            row = load_wide(x, r * d + j * strip)
            slope = add(more, filled(element(slopes, j), more))
            centre = mul(scale, filled(element(centres, j), scale))
            value = add(value, term(row, slope, centre, table))
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


known_common = bind(common.py_func, term=known_term)
known_common_of_total = bind(common_of_total.py_func, term=known_term, count=known_count)
known_forms_of_strip = bind(forms_of_strip.py_func, load_wide=known_load_wide)
known_linear_forms = bind(linear_forms.py_func, forms_of_strip=known_forms_of_strip)
known_linear_sums = bind(linear_sums.py_func, load=known_load, load_wide=known_load_wide)
add_seen = bind(add_masses.py_func, where_known=where_missing)
