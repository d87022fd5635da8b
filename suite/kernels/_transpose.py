"""The transpose of a matrix, by tiles of 16 × 16 numbers that stay in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from suite.kernels._compiled import compiled_once
from suite.kernels._vector import INT, LANES, first_lanes, instruction, load_lanes, place, store_lanes


@instruction
def _tile(
    _: Any, to: Any, to_at: Any, to_stride: Any, of: Any, of_at: Any, of_stride: Any, rows: Any, columns: Any
) -> Any:
    """Transpose up to 16 × 16 numbers. No memory beyond ``rows`` and ``columns`` is touched."""

    def codegen(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        to, to_at, to_stride, of, of_at, of_stride, rows, columns = arguments
        nothing = INT(0)

        def mask(line: int, lines: Any, lanes: Any) -> Any:
            exists = builder.icmp_signed("<", INT(line), lines)
            return first_lanes(builder, builder.select(exists, lanes, nothing))

        def line(address: Any, at: Any, stride: Any, number: int) -> Any:
            return place(builder, address, builder.add(at, builder.mul(stride, INT(number))))

        lines = [load_lanes(builder, line(of, of_at, of_stride, n), mask(n, rows, columns)) for n in range(LANES)]
        # Swap the blocks beside the diagonal, in tiles of 2, 4, 8 and 16 numbers.
        for block in (1, 2, 4, 8):
            for n in (n for n in range(LANES) if not n & block):
                upper, lower = lines[n], lines[n + block]
                for place_, shift in ((n, 0), (n + block, block)):
                    chosen = [k + shift if not k & block else LANES + k - block + shift for k in range(LANES)]
                    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), chosen)
                    lines[place_] = builder.shuffle_vector(upper, lower, order)
        for n in range(LANES):
            store_lanes(builder, lines[n], line(to, to_at, to_stride, n), mask(n, columns, rows))
        return context.get_dummy_value()

    sizes = [types.int64] * 7
    return types.void(to, *sizes[:2], of, *sizes[:4]), codegen


@compiled_once
def transpose(to, to_at, to_stride, of, of_at, of_stride, rows, columns):  # type: ignore[no-untyped-def]
    """Write a matrix ``[rows, columns]`` transposed. Both begin at ``_at``, and rows are ``_stride`` numbers apart."""
    for row in range(0, rows, LANES):
        for column in range(0, columns, LANES):
            there, here = to_at + column * to_stride + row, of_at + row * of_stride + column
            _tile(to, there, to_stride, of, here, of_stride, rows - row, columns - column)
