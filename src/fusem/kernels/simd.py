"""Explicit vectors: one or four registers' worth of float64 or float32 lanes as a value in compiled code.

Lanes run over rows of a tile. A vector is loaded from and stored to a flat array at an element
offset; the width follows the processor (AVX-512: 8 doubles, AVX2: 4, NEON/SSE: 2). A wide vector is
four of them: the compiler splits it, and one statement keeps four independent chains of arithmetic busy.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from fusem.kernels.elements import element_at
from fusem.kernels.policy import vector_bytes

IR_TYPES = {
    types.float64: ir.DoubleType(), types.float32: ir.FloatType(), types.int64: ir.IntType(64),
}  # fmt: skip
I32 = ir.IntType(32)


class Vector(types.Type):
    """numba type of a vector of `lanes` scalars."""

    def __init__(self, scalar: types.Number, lanes: int) -> None:
        self.scalar, self.lanes = scalar, lanes
        self.ir = ir.VectorType(IR_TYPES[scalar], lanes)
        super().__init__(name=f"Vector({scalar} x {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.ir)


VECTORS = {
    scalar: Vector(scalar, max(2, vector_bytes() * 8 // scalar.bitwidth))
    for scalar in (types.float64, types.float32)
}
WIDE = {scalar: Vector(scalar, 4 * vector.lanes) for scalar, vector in VECTORS.items()}
LANES = VECTORS[types.float64].lanes  # float64 lanes; float32 has twice as many


def constant(kind: ir.VectorType, value: float) -> ir.Constant:
    """A vector constant with `value` in every lane."""
    return ir.Constant(kind, [value] * kind.count)


def call(builder, name, kind, arguments):
    """Call the LLVM intrinsic `name` on vectors of one kind."""
    scalar = "f64" if isinstance(kind.element, ir.DoubleType) else "f32"
    signature = ir.FunctionType(kind, [kind] * len(arguments))
    function = cgutils.get_or_insert_function(
        builder.module, signature, f"llvm.{name}.v{kind.count}{scalar}"
    )
    return builder.call(function, arguments)


def splat(builder, scalar, lanes):
    """A vector with the scalar in every lane."""
    kind = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def pointer_to(context, builder, array_type, array, index, lanes):
    """Pointer to a vector at an element of a flat array, and the element's size in bytes."""
    data = context.make_array(array_type)(context, builder, array).data
    kind = ir.VectorType(IR_TYPES[array_type.dtype], lanes)
    return builder.bitcast(
        builder.gep(data, [index]), kind.as_pointer()
    ), array_type.dtype.bitwidth // 8


def converted(builder, value, target):
    """`value` with the elements of another vector type of as many lanes."""
    if value.type == target:
        return value
    widen = isinstance(target.element, ir.DoubleType)
    return builder.fpext(value, target) if widen else builder.fptrunc(value, target)


@intrinsic
def lanes(typing_context, array):
    """Number of lanes of a vector of the array's dtype (a constant)."""
    count = VECTORS[array.dtype].lanes

    def codegen(context, builder, signature, arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


def _loader(vectors, doc):
    @intrinsic
    def function(typing_context, array, index):
        vector = vectors[array.dtype]

        def codegen(context, builder, signature, arguments):
            array_value, offset = arguments
            pointer, size = pointer_to(
                context, builder, signature.args[0], array_value, offset, vector.lanes
            )
            value = builder.load(pointer)
            value.align = size
            return value

        return vector(array, types.intp), codegen

    function.__doc__ = doc
    return function


load = _loader(VECTORS, "The vector at element `index` of a flat array.")
load_wide = _loader(WIDE, "Four vectors from element `index` of a flat array on.")


@intrinsic
def store(typing_context, array, index, vector):
    """Store a vector at element `index`, converted to the array's dtype."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind = signature.args
        array_value, offset, value = arguments
        pointer, size = pointer_to(context, builder, array_type, array_value, offset, kind.lanes)
        target = ir.VectorType(IR_TYPES[array_type.dtype], kind.lanes)
        builder.store(converted(builder, value, target), pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


@intrinsic
def store_affine(typing_context, array, index, vector, factor, constant_term):
    """Store factor · vector + constant, computed in the array's dtype."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind, _, _ = signature.args
        array_value, offset, value, *terms = arguments
        pointer, size = pointer_to(context, builder, array_type, array_value, offset, kind.lanes)
        target = ir.VectorType(IR_TYPES[array_type.dtype], kind.lanes)
        if array_type.dtype == types.float32:
            terms = [builder.fptrunc(term, ir.FloatType()) for term in terms]
        slopes, intercepts = (splat(builder, term, kind.lanes) for term in terms)
        value = converted(builder, value, target)
        value = call(builder, "fmuladd", target, (value, slopes, intercepts))
        builder.store(value, pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, vector, types.float64, types.float64), codegen


@intrinsic
def load_as(typing_context, array, index, like):
    """As many elements from `index` of a flat array on as `like` has lanes, in its dtype."""

    def codegen(context, builder, signature, arguments):
        array_value, offset, _ = arguments
        pointer, size = pointer_to(
            context, builder, signature.args[0], array_value, offset, like.lanes
        )
        value = builder.load(pointer)
        value.align = size
        return converted(builder, value, like.ir)

    return like(array, types.intp, like), codegen


@intrinsic
def double(typing_context, vector):
    """The same lanes in float64."""
    result = Vector(types.float64, vector.lanes)

    def codegen(context, builder, signature, arguments):
        return converted(builder, arguments[0], result.ir)

    return result(vector), codegen


@intrinsic
def convert(typing_context, vector, like):
    """The same lanes in the dtype of `like`."""

    def codegen(context, builder, signature, arguments):
        return converted(builder, arguments[0], like.ir)

    return like(vector, like), codegen


@intrinsic
def filled(typing_context, value, like):
    """A vector like another, with the float64 number in every lane."""

    def codegen(context, builder, signature, arguments):
        number = arguments[0]
        if like.scalar == types.float32:
            number = builder.fptrunc(number, ir.FloatType())
        return splat(builder, number, like.lanes)

    return like(types.float64, like), codegen


def _zeros(vectors, doc):
    @intrinsic
    def function(typing_context, array):
        vector = vectors[array.dtype]

        def codegen(context, builder, signature, arguments):
            return constant(vector.ir, 0.0)

        return vector(array), codegen

    function.__doc__ = doc
    return function


zeros = _zeros(VECTORS, "The zero vector of the array's dtype.")
zeros_wide = _zeros(WIDE, "Four zero vectors of the array's dtype.")


@intrinsic
def scaled(typing_context, scalar, x):
    """scalar · x."""

    def codegen(context, builder, signature, arguments):
        return builder.fmul(splat(builder, arguments[0], x.lanes), arguments[1])

    return x(scalar, x), codegen


def _adder(sign, doc):
    @intrinsic
    def function(typing_context, factors, index, x, c):
        def codegen(context, builder, signature, arguments):
            array, place, value, rest = arguments
            factor = element_at(context, builder, factors, array, place)
            factor = splat(builder, factor if sign > 0 else builder.fneg(factor), x.lanes)
            return call(builder, "fmuladd", x.ir, (factor, value, rest))

        return x(factors, types.intp, x, x), codegen

    function.__doc__ = doc
    return function


add_scaled = _adder(1, "c + factors[index] · x, rounded once where the processor can.")
less_scaled = _adder(-1, "c − factors[index] · x, rounded once where the processor can.")


@intrinsic
def fma(typing_context, a, b, c):
    """a · b + c, rounded once where the processor can."""

    def codegen(context, builder, signature, arguments):
        return call(builder, "fmuladd", a.ir, arguments)

    return a(a, a, a), codegen


def _elementwise(operation):
    @intrinsic
    def function(typing_context, a, b):
        def codegen(context, builder, signature, arguments):
            return operation(builder, a, *arguments)

        return a(a, a), codegen

    return function


def _larger(builder, kind, a, b):  # maxsd semantics: b where either is NaN; one instruction on x86
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


add = _elementwise(lambda builder, kind, a, b: builder.fadd(a, b))
sub = _elementwise(lambda builder, kind, a, b: builder.fsub(a, b))
mul = _elementwise(lambda builder, kind, a, b: builder.fmul(a, b))
div = _elementwise(lambda builder, kind, a, b: builder.fdiv(a, b))
larger = _elementwise(_larger)


@intrinsic
def residual(typing_context, x, high, low, index):
    """x − (high + low) at an index: float32 needs the centre in two parts, for float64 `low` is nothing."""

    def codegen(context, builder, signature, arguments):
        value, *parts, place = arguments
        for part in parts if x.scalar == types.float32 else parts[:1]:
            number = element_at(context, builder, high, part, place)
            value = builder.fsub(value, splat(builder, number, x.lanes))
        return value

    return x(x, high, high, types.intp), codegen


@intrinsic
def standardised(typing_context, x, high, scale, shift, index):
    """(x − high) · scale + shift at an index; for float64 `shift` is nothing."""

    def codegen(context, builder, signature, arguments):
        value, *arrays, place = arguments
        kinds = zip((high, scale, shift), arrays)
        numbers = (element_at(context, builder, *array, place) for array in kinds)
        centre, factor, rest = (splat(builder, number, x.lanes) for number in numbers)
        value = builder.fsub(value, centre)
        if x.scalar == types.float64:
            return builder.fmul(value, factor)
        return call(builder, "fmuladd", x.ir, (value, factor, rest))

    return x(x, high, scale, shift, types.intp), codegen


@intrinsic
def offset(typing_context, x, high, shift, index, scale):
    """x − high in float64; (x − high) · scale + shift in float32, where its square would soon overflow."""

    def codegen(context, builder, signature, arguments):
        value, *arrays, place, factor = arguments
        kinds = zip((high, shift), arrays)
        numbers = (element_at(context, builder, *array, place) for array in kinds)
        centre, rest = (splat(builder, number, x.lanes) for number in numbers)
        value = builder.fsub(value, centre)
        if x.scalar == types.float64:
            return value
        return call(builder, "fmuladd", x.ir, (value, splat(builder, factor, x.lanes), rest))

    return x(x, high, shift, types.intp, scale), codegen


@intrinsic
def rest_of_scale(typing_context, scale, index):
    """What is left to multiply an `offset` with to standardise it: scale[index], or 1 in float32."""

    def codegen(context, builder, signature, arguments):
        if scale.dtype == types.float32:
            return ir.Constant(ir.FloatType(), 1.0)
        return element_at(context, builder, scale, *arguments)

    return scale.dtype(scale, types.intp), codegen


@intrinsic
def minus_distance(typing_context, a, b):
    """−|a − b|."""

    def codegen(context, builder, signature, arguments):
        difference = builder.fsub(*arguments)
        return builder.fneg(call(builder, "fabs", a.ir, (difference,)))

    return a(a, a), codegen


@intrinsic
def where_less(typing_context, a, b, yes, no):
    """`yes` where a < b, else `no`."""

    def codegen(context, builder, signature, arguments):
        left, right, one, other = arguments
        return builder.select(builder.fcmp_ordered("<", left, right), one, other)

    return yes(a, a, yes, yes), codegen


@intrinsic
def where_known(typing_context, x, value, other):
    """`value`, but `other` in lanes where x is NaN."""

    def codegen(context, builder, signature, arguments):
        row, known, instead = arguments
        return builder.select(builder.fcmp_ordered("ord", row, row), known, instead)

    return value(x, value, value), codegen


@intrinsic
def zero_below(typing_context, value, key, bound):
    """`value` where key ≥ bound, else exactly 0: keeps denormals out of the arithmetic."""

    def codegen(context, builder, signature, arguments):
        v, k, b = arguments
        return builder.select(builder.fcmp_ordered(">=", k, b), v, constant(value.ir, 0.0))

    return value(value, value, value), codegen


def shuffle(builder, a, b, lanes_of_both):
    """A vector of the chosen lanes of two, those of b numbered on from a's."""
    mask = ir.Constant(ir.VectorType(I32, len(lanes_of_both)), lanes_of_both)
    return builder.shuffle_vector(a, b, mask)
