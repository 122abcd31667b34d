"""Products of float activations with integer codes that a Pallas kernel widens block by block, on GPUs and TPUs."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from compressjax.core import Dense, Product
from compressjax.tensors.quantized._grid import Grid
from compressjax.tensors.quantized._rounding import straight_through_product

ACCELERATORS = ("gpu", "tpu")
COLUMNS = 128  # outputs of a block
ROWS = 16
LONGEST = 1 << 14  # inputs of a block, which a TPU keeps in its vector memory


def fused_dot(x: jax.Array, node: Grid, p: Product) -> Any:
    r"""Multiplies floats with an integer grid, reading the codes as they are stored.

    .. math:: y = \sum_g s_g (x_g q_g - z_g \sum x_g)

    Returns `Dense` with a reason on CPUs, where nothing is faster for weight-only codes than prepared dense weights:
    dequantizing inside of a product is slower than float32 there.

    Source: Frantar et al., arXiv:2210.17323.
    """
    backend = jax.default_backend()
    reason = misfit(node, backend)
    if not reason and ((p.sum, p.batch, p.x_batch) != ((0,), (), ()) or p.x_sum != (x.ndim - 1,)):
        reason = "the kernel for weight-only codes multiplies rows with a matrix [in, out]"
    if not reason and not jnp.issubdtype(x.dtype, jnp.floating):
        reason = f"activations of type {x.dtype}"
    return Dense(reason) if reason else product(x, node, p.dtype or jnp.result_type(x.dtype, node.dtype), backend)


def misfit(node: Grid, backend: str) -> str:
    """Why the kernel cannot run on a grid; empty if it can."""
    if backend not in ACCELERATORS:
        return "weight-only codes save bytes; the product runs in floating point"
    if jax.device_count() > 1:
        return "the compiler cannot split the kernel for weight-only codes over devices"
    if node.ndim != 2 or node.order != (1, 0) or not node.counts():
        return "the kernel for weight-only codes takes integer codes stored as [out, in]"
    inputs, outputs = node.shape
    groups, columns = node.scale.shape
    if columns not in (1, outputs) or outputs % COLUMNS or inputs % 128 or inputs > LONGEST:
        return f"the kernel takes multiples of {COLUMNS} outputs and of 128 inputs, at most {LONGEST}"
    if (inputs // groups) % 128:
        return "the kernel takes groups of a multiple of 128 inputs"
    return ""


def product(x: jax.Array, node: Grid, dtype: Any, backend: str) -> jax.Array:
    """The product with the kernel for a backend; any other than "gpu" and "tpu" interprets it."""

    def fused(x: jax.Array, node: Grid) -> jax.Array:
        rows = x.reshape(-1, x.shape[-1])
        count = rows.shape[0]
        padded = jnp.pad(rows, ((0, -count % ROWS), (0, 0)))
        out = _call(padded, *_packed(node), backend=backend)
        return out[:count].reshape(*x.shape[:-1], node.shape[1]).astype(dtype)

    def floating(x: jax.Array, node: Grid) -> jax.Array:
        return jnp.matmul(x, node.materialize()).astype(dtype)

    return straight_through_product(fused, floating)(x, node)


def _packed(node: Grid) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Codes in whole bytes `[out, in / per byte]`, and scales and zero points `[groups, out]`."""
    codes: Any = node.codes
    outputs = codes.shape[0]
    bits = jnp.iinfo(codes.dtype).bits
    if bits < 8:
        whole = jnp.int8 if jnp.issubdtype(codes.dtype, jnp.signedinteger) else jnp.uint8
        codes = jax.lax.bitcast_convert_type(codes.reshape(outputs, -1, 8 // bits), whole)

    def by_group(v: Any) -> Any:
        return None if v is None else jnp.broadcast_to(v.astype(jnp.float32), (v.shape[0], outputs))

    return codes, by_group(node.scale), by_group(node.zero_point)


def _call(x: jax.Array, codes: jax.Array, scale: Any, zero: Any, backend: str) -> jax.Array:
    rows, inputs = x.shape
    outputs, bytes_ = codes.shape
    parts = inputs // bytes_
    groups = scale.shape[0]
    size = inputs // groups
    step = math.gcd(size, 512) // parts if size >= 128 * parts else size // parts
    x = jnp.moveaxis(x.reshape(rows, bytes_, parts), 2, 0)  # inputs that share a byte, apart
    column = pl.BlockSpec((groups, COLUMNS), lambda i, j: (0, j))
    kernel = functools.partial(_kernel, step=step, per_group=size // parts // step)
    return pl.pallas_call(
        kernel if zero is not None else functools.partial(_symmetric, kernel),
        out_shape=jax.ShapeDtypeStruct((rows, outputs), jnp.float32),
        grid=(rows // ROWS, outputs // COLUMNS),
        in_specs=[
            pl.BlockSpec((parts, ROWS, bytes_), lambda i, j: (0, i, 0)),
            pl.BlockSpec((COLUMNS, bytes_), lambda i, j: (j, 0)),
            column,
            *([] if zero is None else [column]),
        ],
        out_specs=pl.BlockSpec((ROWS, COLUMNS), lambda i, j: (i, j)),
        # Triton compiles loops and shifts of any integers; Mosaic, the default on GPUs, has no such product.
        compiler_params=triton.CompilerParams() if backend == "gpu" else None,
        interpret=backend not in ACCELERATORS,
    )(x, codes, scale, *([] if zero is None else [zero]))


def _symmetric(kernel: Any, x: Any, codes: Any, scale: Any, out: Any) -> None:
    """The kernel without zero points."""
    kernel(x, codes, scale, None, out)


def _kernel(x: Any, codes: Any, scale: Any, zero: Any, out: Any, *, step: int, per_group: int) -> None:
    """Sums one block of outputs over all inputs, `step` bytes of codes at a time."""
    parts, _, bytes_ = x.shape
    bits = 8 // parts

    def add(i: Any, total: jax.Array) -> jax.Array:
        group = pl.ds(i // per_group, 1)
        packed = codes[:, pl.ds(i * step, step)].astype(jnp.int32)
        piece = jnp.zeros_like(total)
        for part in range(parts):
            some = x[part, :, pl.ds(i * step, step)]
            numbers = _field(packed, part, bits, codes.dtype).astype(some.dtype)
            piece += jax.lax.dot_general(some, numbers, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
            if zero is not None:
                piece -= jnp.sum(some.astype(jnp.float32), axis=1, keepdims=True) * zero[group, :]
        return total + piece * scale[group, :]

    out[...] = jax.lax.fori_loop(0, bytes_ // step, add, jnp.zeros(out.shape, jnp.float32))


def _field(packed: jax.Array, part: int, bits: int, dtype: Any) -> jax.Array:
    """The codes at one place of every byte, the lowest bits first."""
    if bits == 8:
        return packed
    raised = jax.lax.shift_left(packed, jnp.int32(32 - bits * (part + 1)))
    shift = jax.lax.shift_right_arithmetic if jnp.issubdtype(dtype, jnp.signedinteger) else jax.lax.shift_right_logical
    return shift(raised, jnp.int32(32 - bits))
