"""A vector of sixteen numbers, as a type that compiled code can calculate with.

A loop over ``row[j]`` only vectorises if the compiler can prove that no two of a cell's many arrays overlap, which it
cannot for the gates of an LSTM. ``load(row, j)`` is explicit, and LLVM maps the vector to the processor's registers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
FLOAT, INT = ir.FloatType(), ir.IntType(64)
LLVM_VECTOR = ir.VectorType(FLOAT, LANES)
WORDS = ir.VectorType(ir.IntType(32), LANES)
MANTISSA = 23  # the number of bits below the exponent
ALIGNMENT = ir.IntType(32)(4)


def instruction(define: Callable[..., Any]) -> Callable[..., Any]:
    """Apply Numba's ``intrinsic``, typed: it makes an instruction that compiled code calls like a function."""
    made: Callable[..., Any] = intrinsic(define)
    return made


class Vector(types.Type):  # type: ignore[misc]
    """The type of ``LANES`` numbers in single precision."""

    def __init__(self) -> None:
        super().__init__(name="Vector")


VECTOR = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, LLVM_VECTOR)


def everywhere(builder: Any, number: Any) -> Any:
    """Build a vector whose numbers are all equal."""
    nothing = ir.Constant(LLVM_VECTOR, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(nothing, number, ir.IntType(32)(0)), nothing, first_lane)


def _vectors(builder: Any, kinds: Any, arguments: Any) -> list[Any]:
    pairs = zip(kinds, arguments, strict=True)
    return [value if kind == VECTOR else everywhere(builder, value) for kind, value in pairs]


def place(builder: Any, address: Any, offset: Any) -> Any:
    """Build a pointer to the number at ``offset`` among the numbers at ``address``."""
    return builder.gep(builder.inttoptr(address, FLOAT.as_pointer()), [offset])


@instruction
def numbers(_: Any, address: Any) -> Any:
    """Return the numbers at ``address``, to be read and written one by one."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], FLOAT.as_pointer())

    return types.CPointer(types.float32)(address), codegen


@instruction
def load(_: Any, row: Any, j: Any) -> Any:
    """Load ``row[j : j + LANES]``, where ``row`` is an address."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        loaded = builder.load(builder.bitcast(place(builder, *arguments), LLVM_VECTOR.as_pointer()))
        loaded.align = 4
        return loaded

    return VECTOR(row, types.int64), codegen


@instruction
def store(_: Any, row: Any, j: Any, value: Any) -> Any:
    """Do ``row[j : j + LANES] = value``, where ``value`` is a vector or one number."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        (vector,) = _vectors(builder, call.args[2:], arguments[2:])
        builder.store(vector, builder.bitcast(place(builder, *arguments[:2]), LLVM_VECTOR.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(row, types.int64, value), codegen


def first_lanes(builder: Any, count: Any) -> Any:
    """Build a mask of the first ``count`` lanes, or of all if there are fewer."""
    lanes = ir.VectorType(INT, LANES)
    limit = builder.insert_element(ir.Constant(lanes, ir.Undefined), count, ir.IntType(32)(0))
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    limits = builder.shuffle_vector(limit, ir.Constant(lanes, ir.Undefined), first_lane)
    return builder.icmp_signed("<", ir.Constant(lanes, list(range(LANES))), limits)


def load_lanes(builder: Any, there: Any, mask: Any) -> Any:
    """Load the lanes of a mask, and zeros in the others, whose memory is not touched."""
    there = builder.bitcast(there, LLVM_VECTOR.as_pointer())
    return _masked(builder, "load", LLVM_VECTOR, [there, ALIGNMENT, mask, ir.Constant(LLVM_VECTOR, None)])


def store_lanes(builder: Any, value: Any, there: Any, mask: Any) -> None:
    """Store the lanes of a mask. The memory of the others is not touched."""
    there = builder.bitcast(there, LLVM_VECTOR.as_pointer())
    _masked(builder, "store", ir.VoidType(), [value, there, ALIGNMENT, mask])


def _masked(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    called = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.{name}.v{LANES}f32.p0")
    return builder.call(called, arguments)


@instruction
def prefetch(_: Any, row: Any, j: Any) -> Any:
    """Have ``row[j : j + LANES]`` fetched into the cache. Nothing happens if there is no such memory."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        number = ir.IntType(32)
        there = builder.bitcast(place(builder, *arguments), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [there.type, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(fetch, [there, number(0), number(2), number(1)])  # for reading, into the second level, of data
        return context.get_dummy_value()

    return types.void(row, types.int64), codegen


@instruction
def load_part(_: Any, row: Any, j: Any, count: Any) -> Any:
    """Load the first ``count`` numbers of ``row[j : j + LANES]``, and zeros after them. More than all is all."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        return load_lanes(builder, place(builder, *arguments[:2]), first_lanes(builder, arguments[2]))

    return VECTOR(row, types.int64, types.int64), codegen


@instruction
def store_part(_: Any, row: Any, j: Any, count: Any, value: Any) -> Any:
    """Store the first ``count`` numbers of a vector in ``row[j : j + LANES]``. More than all is all."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        (vector,) = _vectors(builder, call.args[3:], arguments[3:])
        store_lanes(builder, vector, place(builder, *arguments[:2]), first_lanes(builder, arguments[2]))
        return context.get_dummy_value()

    return types.void(row, types.int64, types.int64, value), codegen


@instruction
def where_at_least(_: Any, x: Any, y: Any, then: Any, otherwise: Any) -> Any:
    """Choose ``then`` where x ≥ y, and ``otherwise`` elsewhere, also where x or y is NaN."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        left, right, yes, no = _vectors(builder, call.args, arguments)
        return builder.select(builder.fcmp_ordered(">=", left, right), yes, no)

    return VECTOR(x, y, then, otherwise), codegen


@instruction
def spread(_: Any, number: Any) -> Any:
    """Return a vector whose numbers are all equal."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        return everywhere(builder, *arguments)

    return VECTOR(number), codegen


@instruction
def multiply_add(_: Any, x: Any, y: Any, z: Any) -> Any:
    """Return x y + z in one instruction, for vectors. It says which of two products is the one that is contracted."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(LLVM_VECTOR, [LLVM_VECTOR] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32"), arguments)

    return VECTOR(x, y, z), codegen


@instruction
def power_of_two(_: Any, t: Any) -> Any:
    """Return 2^k, where the lowest bits of the vector t hold k + 127. They become the exponent of a number."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], WORDS)
        return builder.bitcast(builder.shl(bits, ir.Constant(WORDS, [MANTISSA] * LANES)), LLVM_VECTOR)

    return VECTOR(t), codegen


@instruction
def square_root(_: Any, x: Any) -> Any:
    """Return √x, and NaN where x is negative or NaN."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(LLVM_VECTOR, [LLVM_VECTOR])
        root = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32")
        return builder.call(root, arguments)

    return VECTOR(x), codegen


@instruction
def total(_: Any, x: Any) -> Any:
    """Return the sum of the numbers of a vector, which are added in pairs."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(FLOAT, [FLOAT, LLVM_VECTOR])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(add, [FLOAT(0.0), *arguments], fastmath=("reassoc",))

    return types.float32(x), codegen


def _arithmetic(function: Callable[[Any, Any], Any], name: str) -> None:
    """Let ``function`` take a vector on either side. A product and a sum may be contracted into one instruction."""

    @infer_global(function)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, _: Any) -> Any:
            return signature(VECTOR, *arguments) if VECTOR in arguments else None

    def lower(_: Any, builder: Any, types_: Any, arguments: Any) -> Any:
        left, right = _vectors(builder, types_.args, arguments)
        return getattr(builder, name)(left, right, flags=("contract",))

    for kinds in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(function, *kinds)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")
