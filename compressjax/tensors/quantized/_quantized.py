"""Grids of integers, small floats or tables; per tensor, channel, group or tile; with float or integer activations."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Convolution, Dense, Product, Ragged, Window, buffer, dense, meta, node, ops
from compressjax.core._use import current_use
from compressjax.tensors.quantized import _layout
from compressjax.tensors.quantized._conv import integer_conv
from compressjax.tensors.quantized._depthwise import shifted_conv, shifts
from compressjax.tensors.quantized._dot import integer_dot
from compressjax.tensors.quantized._fused import ACCELERATORS, fused_dot, misfit
from compressjax.tensors.quantized._grid import Grid
from compressjax.tensors.quantized._prepare import fast_layout, pays
from compressjax.tensors.quantized._ragged import integer_ragged
from compressjax.tensors.quantized._rounding import LIMIT
from compressjax.tensors.quantized._tables import TABLES

FLOATING = Dense("weight-only codes save bytes; the product runs in floating point")
NO_INTEGERS = Dense("its codes are no integers; the product runs in floating point")


@node
class Quantized(Grid):
    """Codes on a grid: integers, floats of at most 8 bits, or places in a table.

    .. math:: W = s\\,(q - z), \\qquad W = s\\,t_q

    Attributes:
        codes: `[*shape]` permuted by `order`, each of `bits` bits: int8 (symmetric), uint8 (affine or a table),
            float8_e4m3fn, float8_e5m2 or float4_e2m1fn.
        scale: As many axes as `shape`, each a divisor of that axis, with one entry per block: `[1, 1]` per tensor,
            `[1, out]` per channel, `[in / group, out]` per group. float32, float16, bfloat16, float8_e8m0fnu (powers
            of two), or a `Quantized` of its own (double quantization).
        zero_point: Shape of `scale`, int32 (float32 from `hqq`), or None if symmetric.
        activation_scale: Scalar for `activation="static"`, else None.
        bits: 1 to 8.
        order: Stored order of the trailing axes. `(1, 0)` stores a `[in, out]` kernel as `[out, in]`, for which
            integer products are several times faster on CPUs.
        activation: None (float activations), `"dynamic"` (int8, a scale per row) or `"static"` (int8, one scale).
        dtype_name: Dtype of the dense tensor.
        table: Name of the table that codes index: `"nf4"`, or `"float6_e2m3fn"` and `"float6_e3m2fn"`, whose codes are
            bit patterns; None if codes are numbers.

    Example:
        >>> Quantized(jnp.array([[1, -2]], jnp.int8), jnp.array([[0.5]])).materialize().tolist()
        [[0.5, -1.0]]

    Source: Jacob et al., arXiv:1712.05877; tables: Dettmers et al., arXiv:2305.14314; floats in blocks: Rouhani et al.,
    arXiv:2310.10537.
    """

    codes: Any = buffer()
    scale: Any = buffer()
    zero_point: Any = buffer(default=None)
    activation_scale: Any = buffer(default=None)
    bits: int = meta(default=8)
    order: tuple[int, ...] = meta(default=())
    activation: str | None = meta(default=None)
    dtype_name: str = meta(default="float32")
    table: str | None = meta(default=None, added=True)

    def misfit(self) -> str:
        """Scales and zero points tile the tensor; static activations have a scale."""
        codes, scale = tuple(self.codes.shape), tuple(self.scale.shape)
        order = f", stored in the order {self.order}" if self.order else ""
        if sorted(self.order) != list(range(len(self.order))) or len(self.order) > len(codes):
            return f"order={self.order} does not permute the axes of codes of shape {codes}"
        if len(scale) != len(codes) or any((d % s if s else d) for d, s in zip(self.shape, scale, strict=True)):
            return f"the scale has the shape {scale}, the codes {codes}{order}"
        if self.zero_point is not None and tuple(self.zero_point.shape) != scale:
            return f"the zero point has the shape {tuple(self.zero_point.shape)}, the scale {scale}"
        if self.table is not None and self.table not in TABLES:
            return f"table={self.table!r} is none of {sorted(TABLES)}"
        return "static activations need an activation_scale" if self._lacks_scale else ""

    @property
    def _lacks_scale(self) -> bool:
        return self.activation == "static" and self.activation_scale is None

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Changes the stored order; the codes are not copied."""
        return _layout.transpose(self, permutation)

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Keeps the stored order if axes that merge or split are adjacent in it."""
        return _layout.reshape(self, sizes)

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices codes and scales, unless the slice splits a group."""
        return _layout.cut(self, window)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins codes and scales of grids of one kind."""
        return _layout.concatenate((self, *others), axis)

    def convert(self, dtype: Any) -> Any:
        """Changes the dtype of the dense tensor only."""
        return self.replace(dtype_name=jnp.dtype(dtype).name)

    def rows(self, indices: jax.Array) -> Any:
        """Takes the rows and materializes only them."""
        return _layout.rows(self, indices).materialize()

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Integer product with rounded activations; without them, a kernel that widens the codes on GPUs and TPUs."""
        if not self.activation:
            return fused_dot(x, self.plain(), product)
        grid = self.as_grid()
        return grid if isinstance(grid, Dense) else integer_dot(x, grid.plain(), product)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Integer convolution with rounded activations, if the node has them; a depthwise one in floats on CPUs."""
        grid = self.as_grid()
        if not isinstance(grid, Dense) and shifts(x, self, convolution):
            return shifted_conv(x, self, convolution)
        return grid if isinstance(grid, Dense) else integer_conv(x, grid.plain(), convolution)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Integer products of sorted rows with the matrices of their experts."""
        grid = self.as_grid()
        return grid if isinstance(grid, Dense) else integer_ragged(x, grid.plain(), ragged)

    def as_grid(self) -> Any:
        """Returns itself, if the node has integer activations."""
        if not self.activation:
            return FLOATING
        return self if self.counts() else NO_INTEGERS

    def masked(self, mask: jax.Array) -> "Quantized | None":
        """The grid with zeros outside a mask; None if it is affine."""
        if self.zero_point is not None:
            return None
        zero = 0 if self.table is None else TABLES[self.table].tolist().index(0)
        kept = jnp.transpose(mask, self.stored())
        return self.replace(codes=jnp.where(kept, self.codes, jnp.asarray(zero, self.codes.dtype)))

    def looked_up(self, lookup: Callable[[jax.Array], jax.Array]) -> "Quantized | None":
        """The grid whose codes are looked up in this table; None if the table has more than one scale."""
        if self.scale.size != 1:
            return None
        codes = lookup(self.dense_codes())
        ones = (1,) * codes.ndim
        zero = None if self.zero_point is None else self.zero_point.reshape(ones)
        scale = self.plain().scale.reshape(ones)
        return self.replace(codes=codes, scale=scale, zero_point=zero, order=())

    def input_errors(self, x: jax.Array, largest: jax.Array) -> Any:
        """Half a step, and what lies beyond the largest code; None with float activations."""
        if self.activation == "static":
            step = jnp.reshape(jnp.asarray(self.activation_scale, jnp.float32), ())
            return step / 2 + jnp.maximum(jnp.abs(x) - LIMIT * step, 0)
        return jnp.broadcast_to(largest / (2 * LIMIT), x.shape) if self.activation else None

    def prepare(self) -> Any:
        """Keeps grids whose products are faster, in their fastest layout; materializes all others."""
        backend = jax.default_backend()
        if not self.activation and self.ndim == 2 and backend in ACCELERATORS:
            stored = fast_layout(self).plain()
            return self.materialize() if misfit(stored, backend) else stored.pack()
        grid = self.as_grid()
        if isinstance(grid, Dense) or not pays(grid, current_use()):
            return self.materialize()
        return fast_layout(grid.plain())

    def pack(self) -> Any:
        """Codes of at most 4 bits in integers of 4 or 2 bits, which XLA keeps packed; products unpack all."""
        if self.activation:  # read by products, so in their layout
            return fast_layout(self.replace(activation=None).pack()).replace(activation=self.activation)
        scale, codes = ops.pack(self.scale), self.codes
        if self.bits <= 4 and jnp.issubdtype(codes.dtype, jnp.integer):
            signed = jnp.issubdtype(codes.dtype, jnp.signedinteger)
            wide, thin = (jnp.int4, jnp.int2) if signed else (jnp.uint4, jnp.uint2)
            codes = jnp.asarray(codes).astype(wide if self.bits > 2 else thin)
        return self.replace(codes=codes, scale=scale)

    def stacked(self) -> "Quantized | None":
        """Broadcasts arrays that all layers share along axis 0; None if axis 0 is permuted or in groups."""
        length = self.shape[0]
        if len(self.order) >= len(self.shape) or self.scale.shape[0] not in (1, length):
            return None

        def repeat(x: Any) -> Any:
            return None if x is None else jnp.broadcast_to(x, (length, *x.shape[1:]))

        scale = ops.stacked(self.scale) if self.scale.shape[0] == length else None
        if scale is None:
            scale = repeat(dense(self.scale))
        return self.replace(
            scale=scale,
            zero_point=repeat(self.zero_point),
            activation_scale=repeat(self.activation_scale),
        )

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the codes like the tensor, and the scales like their groups."""
        scales = _layout.block_specs(self.shape, self.scale.shape, axes, sizes)
        inner = scales if isinstance(scales, Dense) else ops.specs(self.scale, scales, sizes)
        if isinstance(inner, Dense):
            return inner
        static = self.activation_scale
        return self.replace(
            codes=ops.Spec(*(axes[axis] for axis in self.stored())),
            scale=inner,
            zero_point=None if self.zero_point is None else scales,
            activation_scale=None if static is None else ops.Spec(*axes[: len(static.shape)]),
        )

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the codes."""
        codes = ops.mesh_axes(self.codes)
        return [codes[place] for place in self.places()]
