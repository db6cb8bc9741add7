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

from fusem.kernels.policy import vector_bytes

IR_TYPES = {types.float64: ir.DoubleType(), types.float32: ir.FloatType()}
I32 = ir.IntType(32)


class Vector(types.Type):
    """numba type of a vector of `lanes` scalars."""

    def __init__(self, scalar: types.Float, lanes: int) -> None:
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


def _splat(builder, scalar, lanes):
    kind = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def _pointer(context, builder, array_type, array, index, lanes):
    data = context.make_array(array_type)(context, builder, array).data
    kind = ir.VectorType(IR_TYPES[array_type.dtype], lanes)
    return builder.bitcast(
        builder.gep(data, [index]), kind.as_pointer()
    ), array_type.dtype.bitwidth // 8


def _converted(builder, value, target):
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
            pointer, size = _pointer(
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
        pointer, size = _pointer(context, builder, array_type, array_value, offset, kind.lanes)
        target = ir.VectorType(IR_TYPES[array_type.dtype], kind.lanes)
        builder.store(_converted(builder, value, target), pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


@intrinsic
def store_affine(typing_context, array, index, vector, factor, constant_term):
    """Store factor · vector + constant, computed in the array's dtype."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind, _, _ = signature.args
        array_value, offset, value, *terms = arguments
        pointer, size = _pointer(context, builder, array_type, array_value, offset, kind.lanes)
        target = ir.VectorType(IR_TYPES[array_type.dtype], kind.lanes)
        if array_type.dtype == types.float32:
            terms = [builder.fptrunc(term, ir.FloatType()) for term in terms]
        slopes, intercepts = (_splat(builder, term, kind.lanes) for term in terms)
        value = _converted(builder, value, target)
        value = call(builder, "fma", target, (value, slopes, intercepts))
        builder.store(value, pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, vector, types.float64, types.float64), codegen


@intrinsic
def load_as(typing_context, array, index, like):
    """As many elements from `index` of a flat array on as `like` has lanes, in its dtype."""

    def codegen(context, builder, signature, arguments):
        array_value, offset, _ = arguments
        pointer, size = _pointer(
            context, builder, signature.args[0], array_value, offset, like.lanes
        )
        value = builder.load(pointer)
        value.align = size
        return _converted(builder, value, like.ir)

    return like(array, types.intp, like), codegen


@intrinsic
def double(typing_context, vector):
    """The same lanes in float64."""
    result = Vector(types.float64, vector.lanes)

    def codegen(context, builder, signature, arguments):
        return _converted(builder, arguments[0], result.ir)

    return result(vector), codegen


@intrinsic
def convert(typing_context, vector, like):
    """The same lanes in the dtype of `like`."""

    def codegen(context, builder, signature, arguments):
        return _converted(builder, arguments[0], like.ir)

    return like(vector, like), codegen


@intrinsic
def filled(typing_context, value, like):
    """A vector like another, with the float64 number in every lane."""

    def codegen(context, builder, signature, arguments):
        number = arguments[0]
        if like.scalar == types.float32:
            number = builder.fptrunc(number, ir.FloatType())
        return _splat(builder, number, like.lanes)

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
        return builder.fmul(_splat(builder, arguments[0], x.lanes), arguments[1])

    return x(scalar, x), codegen


@intrinsic
def add_scaled(typing_context, scalar, x, c):
    """scalar · x + c, rounded once."""

    def codegen(context, builder, signature, arguments):
        factor = _splat(builder, arguments[0], x.lanes)
        return call(builder, "fma", x.ir, (factor, *arguments[1:]))

    return x(scalar, x, x), codegen


@intrinsic
def fma(typing_context, a, b, c):
    """a · b + c, rounded once."""

    def codegen(context, builder, signature, arguments):
        return call(builder, "fma", a.ir, arguments)

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


def _residual(builder, kind, x, high):
    return builder.fsub(x, high)


add = _elementwise(lambda builder, kind, a, b: builder.fadd(a, b))
sub = _elementwise(lambda builder, kind, a, b: builder.fsub(a, b))
mul = _elementwise(lambda builder, kind, a, b: builder.fmul(a, b))
div = _elementwise(lambda builder, kind, a, b: builder.fdiv(a, b))
larger = _elementwise(_larger)


@intrinsic
def residual(typing_context, x, high, low):
    """x − (high + low): float32 rows need the centre in two parts, for float64 `low` is nothing."""

    def codegen(context, builder, signature, arguments):
        difference = builder.fsub(arguments[0], _splat(builder, arguments[1], x.lanes))
        if x.scalar == types.float64:
            return difference
        return builder.fsub(difference, _splat(builder, arguments[2], x.lanes))

    return x(x, high, low), codegen


@intrinsic
def standardised(typing_context, x, high, scale, shift):
    """(x − high) · scale + shift; for float64 `shift` is nothing."""

    def codegen(context, builder, signature, arguments):
        high, scale, shift = (_splat(builder, value, x.lanes) for value in arguments[1:])
        difference = builder.fsub(arguments[0], high)
        if x.scalar == types.float64:
            return builder.fmul(difference, scale)
        return call(builder, "fma", x.ir, (difference, scale, shift))

    return x(x, high, scale, shift), codegen


@intrinsic
def offset(typing_context, x, high, scale, shift):
    """x − high in float64; standardised in float32, where its square would soon overflow."""

    def codegen(context, builder, signature, arguments):
        high, scale, shift = (_splat(builder, value, x.lanes) for value in arguments[1:])
        difference = builder.fsub(arguments[0], high)
        if x.scalar == types.float64:
            return difference
        return call(builder, "fma", x.ir, (difference, scale, shift))

    return x(x, high, scale, shift), codegen


@intrinsic
def rest_of_scale(typing_context, scale, index):
    """What is left to multiply an `offset` with to standardise it: scale[index], or 1 in float32."""

    def codegen(context, builder, signature, arguments):
        if scale.dtype == types.float32:
            return ir.Constant(ir.FloatType(), 1.0)
        array, place = arguments
        return builder.load(
            builder.gep(context.make_array(scale)(context, builder, array).data, [place])
        )

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
def zero_below(typing_context, value, key, bound):
    """`value` where key ≥ bound, else exactly 0: keeps denormals out of the arithmetic."""

    def codegen(context, builder, signature, arguments):
        v, k, b = arguments
        return builder.select(builder.fcmp_ordered(">=", k, b), v, constant(value.ir, 0.0))

    return value(value, value, value), codegen


@intrinsic
def total(typing_context, vector):
    """Sum of the lanes in a fixed binary tree, as float64."""

    def codegen(context, builder, signature, arguments):
        value, width = arguments[0], vector.lanes
        while width > 1:
            width //= 2
            half = [
                ir.Constant(ir.VectorType(I32, width), [o + i for i in range(width)])
                for o in (0, width)
            ]
            value = builder.fadd(
                builder.shuffle_vector(value, value, half[0]),
                builder.shuffle_vector(value, value, half[1]),
            )
        scalar = builder.extract_element(value, ir.Constant(I32, 0))
        return scalar if vector.scalar == types.float64 else builder.fpext(scalar, ir.DoubleType())

    return types.float64(vector), codegen


def _shuffle(builder, a, b, lanes_of_both):
    mask = ir.Constant(ir.VectorType(I32, len(lanes_of_both)), lanes_of_both)
    return builder.shuffle_vector(a, b, mask)


def _pairs(builder, a, b, count, step):
    """Add neighbouring groups of `step` lanes of a and b; the sums of a and b alternate."""
    groups = range(0, count, 2 * step)
    low = [g + side + i for g in groups for side in (0, count) for i in range(step)]
    high = [lane + step for lane in low]
    return builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, high))


@intrinsic
def add_totals(typing_context, array, index, a, b, c, e):
    """Add the lane totals of four vectors to four consecutive elements of a float64 array.

    One transposing tree for all four takes about half the instructions of four `total`s.
    """

    def codegen(context, builder, signature, arguments):
        array_value, offset, va, vb, vc, ve = arguments
        count = a.lanes
        ab, ce = _pairs(builder, va, vb, count, 1), _pairs(builder, vc, ve, count, 1)
        if count == 2:
            four = _shuffle(builder, ab, ce, [0, 1, 2, 3])
        else:
            four, width = _pairs(builder, ab, ce, count, 2), count
            while width > 4:
                width //= 2
                low = _shuffle(builder, four, four, list(range(width)))
                four = builder.fadd(
                    low, _shuffle(builder, four, four, list(range(width, 2 * width)))
                )
        if a.scalar == types.float32:
            four = builder.fpext(four, ir.VectorType(ir.DoubleType(), 4))
        pointer, size = _pointer(context, builder, signature.args[0], array_value, offset, 4)
        before = builder.load(pointer)
        before.align = size
        builder.store(builder.fadd(before, four), pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, a, a, a, a), codegen


@intrinsic
def read(typing_context, address, dtype_of):
    """The scalar of the array's dtype at a memory address: rows of any strides, one signature."""
    scalar = dtype_of.dtype

    def codegen(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], IR_TYPES[scalar].as_pointer())
        value = builder.load(pointer)
        value.align = 1  # memory-mapped rows need not be aligned
        return value

    return scalar(types.intp, dtype_of), codegen


GROUP = 8  # rows that are transposed together


def _read(builder, kind, address, lanes):
    """Load consecutive scalars at a memory address; memory-mapped rows need not be aligned."""
    vector = ir.VectorType(IR_TYPES[kind.dtype], lanes)
    value = builder.load(builder.inttoptr(address, vector.as_pointer()))
    value.align = 1
    return value


@intrinsic
def copy_group(typing_context, address, kind, array, index):
    """Copy GROUP consecutive scalars of the dtype of `kind` to element `index` of a flat array."""

    def codegen(context, builder, signature, arguments):
        where, _, array_value, place = arguments
        target = signature.args[2]
        pointer, size = _pointer(context, builder, target, array_value, place, GROUP)
        value = _read(builder, kind, where, GROUP)
        wanted = ir.VectorType(IR_TYPES[target.dtype], GROUP)
        builder.store(_converted(builder, value, wanted), pointer).align = size
        return context.get_dummy_value()

    return types.none(types.intp, kind, array, types.intp), codegen


@intrinsic
def transpose_group(typing_context, address, row_stride, kind, array, index, stride):
    """GROUP rows by GROUP columns, rows contiguous at an address, to columns `stride` elements apart."""

    def codegen(context, builder, signature, arguments):
        where, row_bytes, _, array_value, place, column = arguments
        target = signature.args[3]
        rows = []
        for _ in range(GROUP):
            rows.append(_read(builder, kind, where, GROUP))
            where = builder.add(where, row_bytes)
        step = 1
        while step < GROUP:  # swap the off-diagonal quarters of ever larger squares
            low = [i if not i & step else i - step + GROUP for i in range(GROUP)]
            high = [i + step if not i & step else i + GROUP for i in range(GROUP)]
            for i in (i for i in range(GROUP) if not i & step):
                a, b = rows[i], rows[i + step]
                rows[i] = _shuffle(builder, a, b, low)
                rows[i + step] = _shuffle(builder, a, b, high)
            step *= 2
        wanted = ir.VectorType(IR_TYPES[target.dtype], GROUP)
        for value in rows:
            pointer, size = _pointer(context, builder, target, array_value, place, GROUP)
            builder.store(_converted(builder, value, wanted), pointer).align = size
            place = builder.add(place, column)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp, kind, array, types.intp, types.intp), codegen


def _deal(columns):
    @intrinsic
    def function(typing_context, address, kind, array, index, stride):
        def codegen(context, builder, signature, arguments):
            where, _, array_value, place, column = arguments
            target = signature.args[2]
            value = _read(builder, kind, where, GROUP * columns)
            wanted = ir.VectorType(IR_TYPES[target.dtype], GROUP)
            for j in range(columns):
                lanes_of_column = [j + i * columns for i in range(GROUP)]
                one = _converted(builder, _shuffle(builder, value, value, lanes_of_column), wanted)
                pointer, size = _pointer(context, builder, target, array_value, place, GROUP)
                builder.store(one, pointer).align = size
                place = builder.add(place, column)
            return context.get_dummy_value()

        return types.none(types.intp, kind, array, types.intp, types.intp), codegen

    function.__doc__ = (
        f"Deal GROUP contiguous rows of {columns} columns out, one column after another."
    )
    return function


deal_2, deal_3, deal_4 = _deal(2), _deal(3), _deal(4)
