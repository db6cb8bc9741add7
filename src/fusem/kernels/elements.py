"""Elements of flat arrays: numba's own indexing makes room for negative indices, three instructions."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic


def element_at(context, builder, array_type, array, index):
    """The element at an index ≥ 0."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.load(builder.gep(data, [index]))


@intrinsic
def element(typing_context, array, index):
    """array[index] for index ≥ 0."""

    def codegen(context, builder, signature, arguments):
        return element_at(context, builder, array, *arguments)

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typing_context, array, index, value):
    """array[index] = value for index ≥ 0."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind = signature.args
        array_value, place, number = arguments
        data = context.make_array(array_type)(context, builder, array_value).data
        number = context.cast(builder, number, kind, array_type.dtype)
        builder.store(number, builder.gep(data, [place]))
        return context.get_dummy_value()

    return types.none(array, types.intp, value), codegen
