"""A node times a scale by block: scaled inputs or outputs without a change of the function."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import (
    Convolution,
    Dense,
    Node,
    Product,
    Ragged,
    Window,
    buffer,
    dense,
    entry_bits,
    node,
    ops,
    value,
)
from compressjax.tensors.quantized import _layout
from compressjax.tensors.quantized._grid import expand_blocks

_MIXED = Dense("its scale changes along inputs and outputs at once, so neither side of the product can take it")


@node
class Scaled(Node):
    """A tensor times a scale, constant on blocks.

    .. math:: W = s \\odot V

    A scale along the summed axes of a product multiplies `x`, a scale along outputs multiplies the result, so the
    product is that of the inner node: `x (s V) = (x s) V`.

    Attributes:
        inner: `[*shape]`, array or node.
        scale: As many axes as `shape`, each a divisor of that axis, with one entry per block: `[in, 1]` scales inputs.

    Example:
        >>> Scaled(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 10.0]])).materialize().tolist()
        [[1.0, 20.0]]

    Source: the equivalent scaling of Xiao et al., arXiv:2211.10438 (xiao2023).
    """

    inner: Any = value()
    scale: Any = buffer()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.inner.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.inner.dtype)

    def misfit(self) -> str:
        """Scales tile the tensor."""
        shape, scale = self.shape, tuple(self.scale.shape)
        fits = len(scale) == len(shape) and not any((d % s if s else d) for d, s in zip(shape, scale, strict=True))
        return "" if fits else f"the scale has the shape {scale}, the tensor {shape}"

    def materialize(self) -> jax.Array:
        """Multiplies the dense inner tensor by the scale."""
        full = dense(self.inner)
        spread = expand_blocks(jnp.asarray(self.scale), self.shape, full)
        return (full.astype(jnp.float32) * spread.astype(jnp.float32)).astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the inner tensor and of the scale."""
        return entry_bits(self.inner, kept) + entry_bits(self.scale)

    def _around(self, inner: Any, scale: Any) -> Any:
        return ops.rebuild(Scaled, inner, scale)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes tensor and scale."""
        return self._around(ops.transpose(self.inner, permutation), jnp.transpose(self.scale, permutation))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes the tensor, and the scale along with it."""
        scale = _layout.reshape_blocks(self.scale, self.shape, sizes)
        if scale.size > max(self.scale.size, self.size // 4):
            return Dense("the reshape would need a scale for nearly every entry")
        return self._around(ops.reshape(self.inner, sizes), scale)

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices tensor and scale, unless the slice splits a block."""
        return self._around(ops.cut(self.inner, window), _layout.cut_blocks(self.scale, self.shape, window))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins tensors and scales; every part keeps its own."""
        parts = (self, *others)
        blocks = _layout.joined_blocks(parts, axis)
        if isinstance(blocks, Dense):
            return blocks
        scales = [expand_blocks(jnp.asarray(p.scale), n) for p, n in zip(parts, blocks, strict=True)]
        scales = [jnp.broadcast_to(s, n) for s, n in zip(scales, blocks, strict=True)]
        return self._around(ops.concatenate([p.inner for p in parts], axis), jnp.concatenate(scales, axis))

    def convert(self, dtype: Any) -> Any:
        """Converts the tensor; the scale stays."""
        return self._around(ops.convert(self.inner, dtype), self.scale)

    def rows(self, indices: jax.Array) -> Any:
        """Rows of the tensor times their scales."""
        block = jnp.clip(indices, 0, self.shape[0] - 1) // (self.shape[0] // self.scale.shape[0])
        found, scale = ops.rows(self.inner, indices), ops.rows(jnp.asarray(self.scale), block)
        return ops.rebuild(lambda rows: Scaled(rows, scale).materialize(), found)

    def _multiply(self, x: jax.Array, before: Any, after: Any, how: ops.How) -> Any:
        """The product of the inner node, with the scale on one side."""
        if not isinstance(self.inner, Node):
            return Dense("the inner tensor is an array")
        scaled = x if before is None else (x.astype(jnp.float32) * before).astype(x.dtype)
        found = ops.multiply(scaled, self.inner, how)
        if isinstance(found, Dense) or after is None:
            return found
        return (found.astype(jnp.float32) * after).astype(found.dtype)

    def _varies(self, axes: tuple[int, ...]) -> bool:
        return any(self.scale.shape[a] != 1 for a in axes)

    def _spread(self, axes: tuple[int, ...]) -> jax.Array:
        """The scale along some axes, in their order; the other axes have one block."""
        whole = [d if a in axes else 1 for a, d in enumerate(self.shape)]
        full = jnp.broadcast_to(expand_blocks(jnp.asarray(self.scale), tuple(whole)), whole)
        rest = tuple(a for a in range(self.ndim) if a not in axes)
        return jnp.transpose(full, (*axes, *rest)).reshape([self.shape[a] for a in axes]).astype(jnp.float32)

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Scales `x` along summed axes, or the result along outputs."""
        free = product.free(self.ndim)
        if not self._varies(free):
            axes = (*product.batch, *product.sum)
            places = (*product.x_batch, *product.x_sum)
            order = sorted(range(len(axes)), key=lambda i: places[i])
            scale = self._spread(tuple(axes[i] for i in order))
            others = [a for a in range(x.ndim) if a not in places]
            return self._multiply(x, jnp.expand_dims(scale, others), None, product)
        if self._varies(product.sum):
            return _MIXED
        scale = self._spread((*product.batch, *free))
        gap = range(len(product.batch), len(product.batch) + len(product.x_free(x.ndim)))
        return self._multiply(x, None, jnp.expand_dims(scale, tuple(gap)), product)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Scales the channels of `x`, or those of the result."""
        numbers = convolution.dimension_numbers
        outputs, inputs, *window = numbers.rhs_spec
        if self._varies(tuple(window)) or (self._varies((outputs,)) and self._varies((inputs,))):
            return _MIXED
        if self._varies((outputs,)):
            return self._multiply(x, None, _along(self._spread((outputs,)), numbers.out_spec[1], x.ndim), convolution)
        scale = jnp.tile(self._spread((inputs,)), convolution.feature_group_count)
        return self._multiply(x, _along(scale, numbers.lhs_spec[1], x.ndim), None, convolution)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Scales every row of `x`, or of the result, by the scale of its expert."""
        if self._varies((1,)) and self._varies((2,)):
            return _MIXED
        side = 2 if self._varies((2,)) else 1
        scale = ragged.of_rows(self._spread((0, side)), x.shape[0])
        return self._multiply(x, None, scale, ragged) if side == 2 else self._multiply(x, scale, None, ragged)

    def prepare(self) -> Any:
        """Prepares the inner node; multiplies once if that is an array."""
        inner = ops.prepare(self.inner)
        return Scaled(inner, self.scale) if isinstance(inner, Node) else Scaled(inner, self.scale).materialize()

    def pack(self) -> Any:
        """Packs the tensor."""
        return Scaled(ops.pack(self.inner), self.scale)

    def multiply_adds(self) -> int:
        """Multiply-adds of the inner tensor; those of the scale are few."""
        return ops.multiply_adds(self.inner)

    def describe(self) -> str:
        """Shape of the scale."""
        return f"scale {list(self.scale.shape)}"

    def stacked(self) -> "Scaled | None":
        """Repeats a shared scale for every layer; None if axis 0 is in blocks, or the tensor cannot be split."""
        inner, length = ops.stacked(self.inner), self.shape[0]
        if inner is None or self.scale.shape[0] not in (1, length):
            return None
        return Scaled(inner, jnp.broadcast_to(jnp.asarray(self.scale), (length, *self.scale.shape[1:])))

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the tensor, and the scale like its blocks."""
        return self._around(
            ops.specs(self.inner, axes, sizes), _layout.block_specs(self.shape, self.scale.shape, axes, sizes)
        )

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the tensor."""
        return ops.mesh_axes(self.inner)


def _along(scale: jax.Array, axis: int, ndim: int) -> jax.Array:
    return scale.reshape([scale.size if a == axis else 1 for a in range(ndim)])
