"""Eight steps back along the best paths of eight lanes, whose states stay in one register."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.simd import splat
from fusem.kernels.states import LANES

STEPS = 8  # one byte of a lane for the state at each of them
I8, I64 = ir.IntType(8), ir.IntType(64)


@intrinsic
def eight_back(typing_context, origins, first, states, path, at, apart, mask, shift):
    """Write the states of eight steps of all lanes, and leave those of the step before.

    Parameters
    ----------
    origins : array of integers
        Where the best paths came from, one number per step and lane: state j's in `2 ** shift` bits from bit
        `j << shift` on.
    first : int
        Element of the first of the steps.
    states : array of int64
        Of the last of the steps, one per lane; then of the step before the first.
    path : array of int64
        Where the states go, from element `at` on; those of the next lane `apart` elements further on.
    mask : int
        Bits of a state's number.
    """

    def codegen(context, builder, signature, arguments):
        kinds = signature.args
        origin_array, begin, state_array, path_array, place, distance, bits, log_width = arguments
        number = context.make_array(kinds[0])(context, builder, origin_array).data
        state = context.make_array(kinds[2])(context, builder, state_array).data
        target = context.make_array(kinds[3])(context, builder, path_array).data
        vector = ir.VectorType(I64, LANES)

        def at_lanes(pointer, kind):
            return builder.bitcast(pointer, ir.VectorType(kind, LANES).as_pointer())

        left = splat(builder, log_width, LANES)
        kept = builder.shl(splat(builder, bits, LANES), left)
        states_at = at_lanes(state, I64)
        now = builder.load(states_at)
        now.align = 8
        now = builder.shl(now, left)  # by how much what a state came from is to be moved
        seen = ir.Constant(vector, [0] * LANES)
        for step in reversed(range(STEPS)):
            seen = builder.or_(builder.shl(seen, ir.Constant(vector, [8] * LANES)), now)
            from_ = builder.add(begin, ir.Constant(I64, step * LANES))
            packed = builder.load(
                at_lanes(builder.gep(number, [from_]), ir.IntType(kinds[0].dtype.bitwidth))
            )
            packed.align = kinds[0].dtype.bitwidth // 8
            if kinds[0].dtype.bitwidth < I64.width:
                packed = builder.shl(builder.zext(packed, vector), left)  # waits for no state
                now = builder.and_(builder.lshr(packed, now), kept)
            else:
                now = builder.and_(builder.shl(builder.lshr(packed, now), left), kept)
        builder.store(builder.lshr(now, left), states_at).align = 8
        seen = builder.lshr(seen, left)
        for lane in range(LANES):
            bytes_ = builder.extract_element(seen, ir.Constant(ir.IntType(32), lane))
            bytes_ = builder.bitcast(bytes_, ir.VectorType(I8, STEPS))
            builder.store(
                builder.zext(bytes_, vector), at_lanes(builder.gep(target, [place]), I64)
            ).align = 8
            place = builder.add(place, distance)
        return context.get_dummy_value()

    word = types.int64
    return types.none(origins, word, states, path, word, word, word, word), codegen
