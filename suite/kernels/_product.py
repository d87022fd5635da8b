"""The small matrix product of one time step, C = A B or C += A B, with B packed once per sequence.

BLAS is not used, because at these sizes (32 × 64 times 64 × 256) it spends half of a call outside the product, and
because its kind and its number of threads depend on the machine. A tile of C is held in registers as vectors of 16
numbers while the rows of B stream by, and LLVM maps such a vector to the registers of the processor. Every element is
summed in the order of k, so the shape of the tiles does not change the result.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

from suite.kernels._compiled import compiled, compiled_once
from suite.kernels._vector import (
    INT,
    LANES,
    LLVM_VECTOR,
    everywhere,
    first_lanes,
    instruction,
    load_lanes,
    numbers,
    place,
    store_lanes,
)

# On AVX-512 the 16 accumulators of a tile and a row of B fit into the 32 wide registers, and on AVX2 the accumulators
# take 12 of the 16 registers.
ROWS, VECTORS = (8, 2) if llvm.get_host_cpu_features().get("avx512f") else (6, 1)
FEW = ROWS // 2
PANEL = VECTORS * LANES


def _tile(rows: int, vectors: int) -> Any:
    """Generate LLVM code for ``C[r, :] = Σ_k A[r, k] B[k, :]`` with ``rows`` rows and ``vectors`` vectors.

    ``a_step`` is the distance from A[r, k] to A[r, k + 1], and ``b_step`` that from a row of B to the next. With
    ``add`` the product is added to C. If fewer rows are left, the last one stands in for the missing ones, which
    then compute and write the same numbers. If fewer columns are left, no memory beyond them is touched.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        c, c_stride, a, a_stride, a_step, b, b_step, depth, rows_left, columns_left, add = arguments
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(LLVM_VECTOR, [LLVM_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
        )
        tile = [(r, v) for r in range(rows) for v in range(vectors)]

        # Where all columns are there, which is a constant, the masks vanish from the code.
        mask = [first_lanes(builder, builder.sub(columns_left, INT(v * LANES))) for v in range(vectors)]

        def at(row: Any, vector: int) -> Any:
            return builder.gep(row, [INT(vector * LANES)])

        def load(row: Any, vector: int) -> Any:
            return load_lanes(builder, at(row, vector), mask[vector])

        last = builder.sub(rows_left, INT(1))
        row = [builder.select(builder.icmp_signed("<", INT(r), last), INT(r), last) for r in range(rows)]
        a_row = [builder.gep(a, [builder.mul(r, a_stride)]) for r in row]
        c_row = [builder.gep(c, [builder.mul(r, c_stride)]) for r in row]
        zero, adds = ir.Constant(LLVM_VECTOR, None), builder.icmp_signed("!=", add, INT(0))
        entry, before, loop, end = builder.block, *(builder.append_basic_block() for _ in range(3))
        builder.cbranch(adds, before, loop)

        builder.position_at_end(before)
        added = {(r, v): load(c_row[r], v) for r, v in tile}
        builder.branch(loop)

        builder.position_at_end(loop)
        k = builder.phi(INT)
        k.add_incoming(INT(0), entry)
        k.add_incoming(INT(0), before)
        total = {cell: builder.phi(LLVM_VECTOR) for cell in tile}
        b_row = builder.gep(b, [builder.mul(k, b_step)])
        b_vector = [load(b_row, v) for v in range(vectors)]
        after = {}
        for r in range(rows):
            number = everywhere(builder, builder.load(builder.gep(a_row[r], [builder.mul(k, a_step)])))
            for v in range(vectors):
                after[r, v] = builder.call(fma, [number, b_vector[v], total[r, v]])
        following = builder.add(k, INT(1))
        k.add_incoming(following, loop)
        for cell in tile:
            total[cell].add_incoming(zero, entry)
            total[cell].add_incoming(added[cell], before)
            total[cell].add_incoming(after[cell], loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

        builder.position_at_end(end)
        for r, v in tile:
            store_lanes(builder, after[r, v], at(c_row[r], v), mask[v])
        return context.get_dummy_value()

    @instruction
    def tile(
        _: Any,
        c: Any,
        c_stride: Any,
        a: Any,
        a_stride: Any,
        a_step: Any,
        b: Any,
        b_step: Any,
        depth: Any,
        rows_left: Any,
        columns_left: Any,
        add: Any,
    ) -> Any:
        sizes = [types.int64] * 4
        return types.void(c, types.int64, a, types.int64, types.int64, b, types.int64, *sizes), codegen

    return tile


@instruction
def _pointer(_: Any, address: Any, offset: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return place(builder, *arguments)

    return types.CPointer(types.float32)(address, offset), codegen


_wide, _wide_few = _tile(ROWS, VECTORS), _tile(FEW, VECTORS)
_narrow, _narrow_few = _tile(ROWS, 1), _tile(FEW, 1)


@compiled_once
def product(C, A, packed, c_at, c_stride, a_at, a_stride, rows, depth, width, add):  # type: ignore[no-untyped-def]
    """Compute ``C[:, :width] = A[:, :depth] @ B``, where B ``[depth, width]`` is packed. ``add`` = 1 adds it to C.

    C and A are matrices inside flat arrays. They begin at ``_at``, and their rows are ``_stride`` numbers apart.
    ``width`` is a multiple of ``LANES``, and there are at least one row and depth 1.
    """
    column = 0
    while column < width:
        wide = width - column >= PANEL
        b = _pointer(packed, column * depth)
        row = 0
        while row < rows:
            left = rows - row
            c = _pointer(C, c_at + row * c_stride + column)
            a = _pointer(A, a_at + row * a_stride)
            if wide:
                if left > FEW:
                    _wide(c, c_stride, a, a_stride, 1, b, PANEL, depth, left, PANEL, add)
                else:
                    _wide_few(c, c_stride, a, a_stride, 1, b, PANEL, depth, left, PANEL, add)
            elif left > FEW:
                _narrow(c, c_stride, a, a_stride, 1, b, LANES, depth, left, LANES, add)
            else:
                _narrow_few(c, c_stride, a, a_stride, 1, b, LANES, depth, left, LANES, add)
            row += ROWS if left > FEW else FEW
        column += PANEL if wide else LANES


@compiled_once
def outer_product(C, A, B, c_at, c_stride, a_at, a_stride, b_at, b_stride, depth, rows, width):  # type: ignore[no-untyped-def]
    """Compute ``C[:rows, :width] += A[:, :rows]ᵀ @ B[:, :width]``, where A and B have ``depth`` rows and no packing.

    All three are matrices inside flat arrays. They begin at ``_at``, and their rows are ``_stride`` numbers apart.
    ``width`` is a multiple of ``LANES``, and there are at least one row and depth 1.
    """
    column = 0
    while column < width:
        wide = width - column >= PANEL
        b = _pointer(B, b_at + column)
        row = 0
        while row < rows:
            left = rows - row
            c = _pointer(C, c_at + row * c_stride + column)
            a = _pointer(A, a_at + row)
            if wide:
                if left > FEW:
                    _wide(c, c_stride, a, 1, a_stride, b, b_stride, depth, left, PANEL, 1)
                else:
                    _wide_few(c, c_stride, a, 1, a_stride, b, b_stride, depth, left, PANEL, 1)
            elif left > FEW:
                _narrow(c, c_stride, a, 1, a_stride, b, b_stride, depth, left, LANES, 1)
            else:
                _narrow_few(c, c_stride, a, 1, a_stride, b, b_stride, depth, left, LANES, 1)
            row += ROWS if left > FEW else FEW
        column += PANEL if wide else LANES


@compiled_once
def matmul(C, c_at, c_stride, A, a_at, a_stride, a_step, B, b_at, b_stride, rows, depth, columns, add):  # type: ignore[no-untyped-def]
    """Compute ``C = A @ B``, or ``C += A @ B`` where ``add`` is not 0. Nothing is packed or padded.

    The three are matrices ``[rows, columns]``, ``[rows, depth]`` and ``[depth, columns]`` inside flat arrays. They
    begin at ``_at``, and their rows are ``_stride`` numbers apart. The columns of A are ``a_step`` apart, so that A may
    be a matrix that is stored transposed. There are at least one row, one column and depth 1.
    """
    for column in range(0, columns, PANEL):
        left = columns - column
        b = _pointer(B, b_at + column)
        for row in range(0, rows, ROWS):
            c = _pointer(C, c_at + row * c_stride + column)
            a = _pointer(A, a_at + row * a_stride)
            if left >= PANEL:
                _wide(c, c_stride, a, a_stride, a_step, b, b_stride, depth, rows - row, PANEL, add)
            elif left > LANES:
                _wide(c, c_stride, a, a_stride, a_step, b, b_stride, depth, rows - row, left, add)
            else:
                _narrow(c, c_stride, a, a_stride, a_step, b, b_stride, depth, rows - row, left, add)


@compiled
def pack(packed, B, b_at, depth, width, from_row, from_column, rows, columns, row_stride, column_stride):  # type: ignore[no-untyped-def]
    """Write a matrix B ``[rows, columns]`` into its place in a matrix ``[depth, width]`` packed for ``product``.

    B lies inside a flat array and begins at ``b_at``. A packed matrix is a series of panels of columns, each of which
    is stored row by row.
    """
    to, of = numbers(packed), numbers(B)
    whole = width // PANEL * PANEL
    for c in range(columns):
        column = from_column + c
        panel = PANEL if column < whole else LANES
        inside = (column if column < whole else column - whole) % panel
        start = (column - inside) * depth + from_row * panel + inside
        for r in range(rows):
            to[start + r * panel] = of[b_at + r * row_stride + c * column_stride]


@compiled_once
def clear_padding(A, at, stride, rows, gates, hidden, padded):  # type: ignore[no-untyped-def]
    """Zero the columns beyond ``hidden`` in each gate of A ``[rows, gates·padded]``, which begins at ``at``."""
    if hidden < padded:
        there = numbers(A)
        for row in range(rows):
            for gate in range(gates):
                start = at + row * stride + gate * padded
                for column in range(start + hidden, start + padded):
                    there[column] = 0
