"""exp and log of float64 vectors in plain arithmetic, at most about one unit in the last place off.

pip's numba has no vector maths library: `np.exp` in a compiled loop is one libm call per element.
exp: x = n·ln 2 + r, |r| ≤ ln 2 / 2, 1 + r + r² p(r), exponent put back by adding n to it.
log: x = 2^e · m with m in [√½, √2), log m = 2·artanh(s) = 2s + s·z·q(z), s = (m − 1)/(m + 1), z = s².
p and q interpolate in Chebyshev nodes (computed with 60 digits): relative error 1.7e-17 and 4.6e-18.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.simd import VECTORS, call, constant

VECTOR = VECTORS[types.float64]
INTEGERS = ir.VectorType(ir.IntType(64), VECTOR.lanes)
LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # 33 + 53 bits of ln 2
ROUND = 6755399441055744.0  # 1.5 · 2^52: adding it rounds to an integer that sits in the low bits
EXP_SERIES = (
    2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06, 2.4801521295954376e-05,
    1.9841269863053618e-04, 1.3888888917213717e-03, 8.333333333330062e-03, 4.166666666662413e-02,
    1.6666666666666669e-01, 5.000000000000001e-01, 1.0, 1.0,
)  # fmt: skip
LOG_SERIES = (
    0.14616585424888623, 0.15331710618210773, 0.18182889455674947, 0.22222211130259878,
    0.2857142862600327, 0.39999999999899444, 0.666666666666667,
)  # fmt: skip
EXP_MIN = -708.0  # exp of less would be denormal


def _integer(value: int) -> ir.Constant:
    return ir.Constant(INTEGERS, [value] * VECTOR.lanes)


def _number(value: float) -> ir.Constant:
    return constant(VECTOR.ir, value)


def _horner(builder, x, coefficients):
    value = _number(coefficients[0])
    for coefficient in coefficients[1:]:
        value = call(builder, "fma", VECTOR.ir, (value, x, _number(coefficient)))
    return value


@intrinsic
def exp(typing_context, x):
    """exp(x) for x ≤ 709; below −708 it stays at exp(−708)."""

    def codegen(context, builder, signature, arguments):
        (value,) = arguments
        low = _number(EXP_MIN)
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        shifted = call(builder, "fma", VECTOR.ir, (value, _number(LOG2_E), _number(ROUND)))
        n = builder.fsub(shifted, _number(ROUND))
        r = call(builder, "fma", VECTOR.ir, (n, _number(-LN2_HIGH), value))
        r = call(builder, "fma", VECTOR.ir, (n, _number(-LN2_LOW), r))
        series = _horner(builder, r, EXP_SERIES)
        bits = builder.add(builder.bitcast(shifted, INTEGERS), _integer(1023))
        power = builder.bitcast(builder.shl(bits, _integer(52)), VECTOR.ir)
        return builder.fmul(series, power)

    return x(x), codegen


@intrinsic
def log(typing_context, x):
    """log(x) for positive, normal, finite x."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], INTEGERS)
        # subtracting the bits of √½ makes the exponent field change where the mantissa passes √2
        offset = builder.sub(bits, _integer(0x3FE6A09E667F3BCD))
        exponent = builder.ashr(offset, _integer(52))
        mantissa = builder.bitcast(
            builder.sub(bits, builder.shl(exponent, _integer(52))), VECTOR.ir
        )
        f = builder.fsub(mantissa, _number(1.0))
        s = builder.fdiv(f, builder.fadd(mantissa, _number(1.0)))
        z = builder.fmul(s, s)
        # log m = 2s + 2s·z·(1/3 + z/5 + …) and 2s = f − s·f, which keeps the last bits near m = 1
        tail = builder.fmul(z, _horner(builder, z, LOG_SERIES))
        correction = builder.fmul(s, builder.fsub(f, tail))
        e = builder.sitofp(exponent, VECTOR.ir)
        low = call(builder, "fma", VECTOR.ir, (e, _number(LN2_LOW), builder.fneg(correction)))
        return call(builder, "fma", VECTOR.ir, (e, _number(LN2_HIGH), builder.fadd(f, low)))

    return x(x), codegen
