"""exp and log of vectors in plain arithmetic, at most about one unit in the last place off.

pip's numba has no vector maths library: `np.exp` in a compiled loop is one libm call per element.
exp: x = n·ln 2 + r, |r| ≤ ln 2 / 2, 1 + r + r² p(r), exponent put back by adding n to it.
log: x = 2^e · m with m in [√½, √2), log m = 2·artanh(s) = 2s + s·z·q(z), s = (m − 1)/(m + 1), z = s².
p and q interpolate in Chebyshev nodes (computed with 60 digits): relative error 1.7e-17 (float32: 1.1e-8)
and 4.6e-18.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.simd import Vector, call, constant

LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # 33 + 53 bits of ln 2
EXP_SERIES = (
    2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06, 2.4801521295954376e-05,
    1.9841269863053618e-04, 1.3888888917213717e-03, 8.333333333330062e-03, 4.166666666662413e-02,
    1.6666666666666669e-01, 5.000000000000001e-01, 1.0, 1.0,
)  # fmt: skip
EXP_SERIES_SINGLE = (
    1.392617611993558e-03, 8.363173074513711e-03, 4.1666554662050534e-02, 1.666657702559799e-01,
    0.5, 1.0, 1.0,
)  # fmt: skip
LOG_SERIES = (
    0.14616585424888623, 0.15331710618210773, 0.18182889455674947, 0.22222211130259878,
    0.2857142862600327, 0.39999999999899444, 0.666666666666667,
)  # fmt: skip


class Format(NamedTuple):
    """A floating-point format and what exp needs in it."""

    mantissa: int  # bits stored
    bias: int
    least: float  # exp of less would be denormal
    ln2: tuple[float, float]  # its first part has few enough bits for n · ln 2 to be exact
    series: tuple[float, ...]

    @property
    def to_integer(self) -> float:
        """1.5 · 2^mantissa: adding it rounds to an integer that sits in the low bits."""
        return 1.5 * 2.0**self.mantissa


FORMATS = {
    types.float64: Format(52, 1023, -708.0, (LN2_HIGH, LN2_LOW), EXP_SERIES),
    types.float32: Format(
        23, 127, -87.0, (0.693359375, -2.1219444005469057e-04), EXP_SERIES_SINGLE
    ),
}


def _integers(x: Vector) -> ir.VectorType:
    return ir.VectorType(ir.IntType(x.scalar.bitwidth), x.lanes)


def _horner(builder, x, coefficients):
    value = constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        value = call(builder, "fmuladd", x.type, (value, x, constant(x.type, coefficient)))
    return value


@intrinsic
def exp(typing_context, x):
    """exp(x) for x ≤ 709 (float32: 88); of less than −708 (−87) it is that of −708 (−87)."""
    form, integers = FORMATS[x.scalar], _integers(x)

    def number(value):
        return constant(x.ir, value)

    def codegen(context, builder, signature, arguments):
        value, low = arguments[0], number(form.least)
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        shifted = call(builder, "fmuladd", x.ir, (value, number(LOG2_E), number(form.to_integer)))
        n = builder.fsub(shifted, number(form.to_integer))
        r = value
        for part in form.ln2:
            r = call(builder, "fmuladd", x.ir, (n, number(-part), r))
        series = _horner(builder, r, form.series)
        bias = ir.Constant(integers, [form.bias] * x.lanes)
        bits = builder.add(builder.bitcast(shifted, integers), bias)
        place = ir.Constant(integers, [form.mantissa] * x.lanes)
        return builder.fmul(series, builder.bitcast(builder.shl(bits, place), x.ir))

    return x(x), codegen


@intrinsic
def log(typing_context, x):
    """log(x) for positive, normal, finite x of float64."""
    integers = _integers(x)

    def integer(value):
        return ir.Constant(integers, [value] * x.lanes)

    def number(value):
        return constant(x.ir, value)

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], integers)
        # subtracting the bits of √½ makes the exponent field change where the mantissa passes √2
        shifted = builder.sub(bits, integer(0x3FE6A09E667F3BCD))
        exponent = builder.ashr(shifted, integer(52))
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, integer(52))), x.ir)
        f = builder.fsub(mantissa, number(1.0))
        s = builder.fdiv(f, builder.fadd(mantissa, number(1.0)))
        z = builder.fmul(s, s)
        # log m = 2s + 2s·z·(1/3 + z/5 + …) and 2s = f − s·f, which keeps the last bits near m = 1
        tail = builder.fmul(z, _horner(builder, z, LOG_SERIES))
        correction = builder.fmul(s, builder.fsub(f, tail))
        e = builder.sitofp(exponent, x.ir)
        low = call(builder, "fmuladd", x.ir, (e, number(LN2_LOW), builder.fneg(correction)))
        return call(builder, "fmuladd", x.ir, (e, number(LN2_HIGH), builder.fadd(f, low)))

    return x(x), codegen


@intrinsic
def log_defect(typing_context, f):
    """f − log(1 + f) for |f| ≤ ¼, to rounding of the result (about f² / 2)."""

    def codegen(context, builder, signature, arguments):
        value = arguments[0]
        s = builder.fdiv(value, builder.fadd(value, constant(f.ir, 2.0)))
        z = builder.fmul(s, s)
        tail = builder.fmul(z, _horner(builder, z, LOG_SERIES))
        return builder.fmul(s, builder.fsub(value, tail))

    return f(f), codegen
