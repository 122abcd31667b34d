"""Low-rank factorization: one factor over the input axes, one over the output axes."""

import dataclasses
import math
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
    dense,
    entry_bits,
    meta,
    node,
    ops,
    value,
)


@node
class LowRank(Node):
    """A product of two factors, for dense, multi-axis (`DenseGeneral`) and convolution kernels.

    .. math:: W_{i\\dots o\\dots} = \\sum_r L_{i\\dots r} R_{r o\\dots}

    Attributes:
        left: `[*batch, *in, r]`, array or node; for a convolution `[h, w, in, r]`.
        right: `[*batch, r, *out]`, array or node.
        inputs: Number of input axes of `left`; the axes before them are batch axes (stacked layers).

    Example:
        >>> import jax.numpy as jnp
        >>> LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)), 1).shape
        (4, 3)

    Source: Denton et al., arXiv:1404.0736.
    """

    left: Any = value()
    right: Any = value()
    inputs: int = meta(default=1)

    @property
    def batch(self) -> int:
        """Number of leading axes that both factors share."""
        return len(self.left.shape) - 1 - self.inputs

    @property
    def rank(self) -> int:
        """Inner dimension of the product."""
        return int(self.left.shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (*self.left.shape[:-1], *self.right.shape[self.batch + 1 :])

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.left.dtype)

    def misfit(self) -> str:
        """The factors share their batch axes and their rank."""
        left, right, b = tuple(self.left.shape), tuple(self.right.shape), self.batch
        if b >= 0 and left[:b] == right[:b] and right[b : b + 1] == left[-1:]:
            return ""
        return f"left has the shape {left}, right {right}, with inputs={self.inputs}"

    def materialize(self) -> jax.Array:
        """Multiplies the factors."""
        left, right = dense(self.left), dense(self.right)
        shared = tuple(range(self.batch))
        numbers = (((left.ndim - 1,), (self.batch,)), (shared, shared))
        return jax.lax.dot_general(left, right, numbers, precision=jax.lax.Precision.HIGHEST)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of both factors; an outer mask does not reduce them."""
        del kept
        return entry_bits(self.left) + entry_bits(self.right)

    def describe(self) -> str:
        """Rank of the factors."""
        return f"rank {self.rank}"

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Permutes axes within the factors and may swap inputs with outputs."""
        perm, b, n, shift = permutation, self.batch, len(permutation), self.inputs - 1
        lead, ins, outs = tuple(range(b)), set(range(b, b + self.inputs)), set(range(b + self.inputs, n))
        body = perm[b:]
        if perm[:b] != lead:
            return Dense("stacked low-rank factors cannot move their batch axis")
        if set(body[: self.inputs]) == ins:
            left = ops.transpose(self.left, (*perm[: b + self.inputs], b + self.inputs))
            right = ops.transpose(self.right, (*lead, b, *(axis - shift for axis in perm[b + self.inputs :])))
            return _of(left, right, self.inputs)
        if set(body[: len(outs)]) == outs:
            left = ops.transpose(self.right, (*lead, *(axis - shift for axis in body[: len(outs)]), b))
            right = ops.transpose(self.left, (*lead, b + self.inputs, *body[len(outs) :]))
            return _of(left, right, len(outs))
        return Dense("the permutation mixes input and output axes of the factors")

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes the factors, if batch, input and output axes do not mix."""
        old, new, b = self.shape, sizes, self.batch
        cuts = []
        for count in (b, b + self.inputs):
            want = math.prod(old[:count])
            splits = [k for k in range(len(new) + 1) if math.prod(new[:k]) == want]
            if count == b and b == 0:
                splits = [0]
            if not splits:
                return Dense("the reshape merges input and output axes of the factors")
            cuts.append(splits[0])
        c, d = cuts
        d = max(d, c + 1) if math.prod(new[: max(d, c + 1)]) == math.prod(old[: b + self.inputs]) else d
        if d <= c and self.inputs:
            return Dense("the reshape leaves the left factor without an axis")
        left, right = (*new[:d], self.rank), (*new[:c], self.rank, *new[d:])
        return _of(ops.reshape(self.left, left), ops.reshape(self.right, right), d - c)

    def _parts(self, axes: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Splits one item per tensor axis into items per axis of each factor; the rank axis gets None."""
        k = self.batch + self.inputs
        return (*axes[:k], None), (*axes[: self.batch], None, *axes[k:])

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices both factors."""
        left, right = self._parts(window)
        return _of(ops.cut(self.left, left), ops.cut(self.right, right), self.inputs)

    def convert(self, dtype: Any) -> Any:
        """Converts the factors, which rounds them instead of their product."""
        return _of(ops.convert(self.left, dtype), ops.convert(self.right, dtype), self.inputs)

    def rows(self, indices: jax.Array) -> Any:
        """Multiplies rows of the left factor by the right factor."""
        left = ops.rows(self.left, indices)
        right = ops.rows(self.right, indices) if self.batch else self.right
        found = _of(left, right, self.inputs)
        return found if isinstance(found, Dense) else found.materialize()

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Two products, one per factor."""
        p, k = product, self.batch + self.inputs
        if tuple(sorted(p.batch)) != tuple(range(self.batch)):
            return Dense("the batch axes of the product are not those of the factors")
        if set(p.sum) == set(range(self.batch, k)):
            first, near, far, rank = p, self.left, self.right, self.batch
        elif set(p.sum) == set(range(k, self.ndim)):
            first = dataclasses.replace(p, sum=tuple(a - self.inputs + 1 for a in p.sum))
            near, far, rank = self.right, self.left, k
        else:
            return Dense("the product sums over some, not all, axes of a factor")
        inner = ops.product(x, near, first)
        batch = tuple(range(len(p.x_batch)))
        return ops.product(inner, far, Product((inner.ndim - 1,), batch, (rank,), p.batch, p.precision, p.dtype))

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """A thin convolution with `[h, w, in, r]`, then a product over channels with `[r, out]`, or the transpose."""
        c, last = convolution, self.ndim - 1
        kernel_out = c.dimension_numbers.rhs_spec[0]
        if c.feature_group_count != 1 or c.batch_group_count != 1:
            return Dense("low-rank kernels of grouped convolutions have no faster form")
        # The thin kernel has the axes of the kernel, with the rank in place of the output channels.
        if not self.batch and kernel_out == last and self.inputs == last:
            kernel, mix, axis = self.left, self.right, 0
        elif not self.batch and kernel_out == 0 and self.inputs == 1:
            kernel, mix, axis = self.right, self.left, 1
        else:
            return Dense("the factors do not split the kernel into inputs and output channels")
        thin, channel = ops.product(x, kernel, c), c.dimension_numbers.out_spec[1]
        out = ops.product(thin, mix, Product((channel,), (), (axis,), (), c.precision, c.dtype))
        return jnp.moveaxis(out, -1, channel)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Two ragged products, one per factor, if every expert has its own factors."""
        if self.batch != 1 or self.inputs != 1:
            return Dense("the experts do not have factors of their own")
        return ops.product(ops.product(x, self.left, ragged), self.right, ragged)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins factors along their batch axis; a first axis of length 1 becomes a batch axis for that."""
        parts = [self, *others]
        if axis == 0 and all(p.batch == 0 and p.inputs > 1 and p.shape[0] == 1 for p in parts):
            batched = [_of(p.left, ops.reshape(p.right, (1, *p.right.shape)), p.inputs - 1) for p in parts]
            found = ops.rebuild(lambda *ps: list(ps), *batched)
            return found if isinstance(found, Dense) else found[0].concatenate(tuple(found[1:]), 0)
        if axis >= self.batch or len({(p.rank, p.inputs, p.ndim) for p in parts}) > 1:
            return Dense("low-rank factors can only be joined along a batch axis, at one rank")
        left, right = (ops.concatenate([getattr(p, name) for p in parts], axis) for name in ("left", "right"))
        return _of(left, right, self.inputs)

    def prepare(self) -> Any:
        """Prepares the factors; the node stays, since its products are cheaper than dense ones."""
        return LowRank(ops.prepare(self.left), ops.prepare(self.right), self.inputs)

    def pack(self) -> Any:
        """Packs the factors."""
        return LowRank(ops.pack(self.left), ops.pack(self.right), self.inputs)

    def multiply_adds(self) -> int:
        """Multiply-adds of both factors."""
        return ops.multiply_adds(self.left) + ops.multiply_adds(self.right)

    def stacked(self) -> "LowRank | None":
        """With a batch axis, both factors already have axis 0."""
        if self.batch < 1:
            return None
        left, right = ops.stacked(self.left), ops.stacked(self.right)
        return None if left is None or right is None else LowRank(left, right, self.inputs)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards each factor like its axes of the tensor; the rank axis is never sharded."""
        left, right = self._parts(axes)
        return _of(ops.specs(self.left, left, sizes), ops.specs(self.right, right, sizes), self.inputs)

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the inputs from the left factor, of the outputs from the right factor."""
        return [*ops.mesh_axes(self.left)[:-1], *ops.mesh_axes(self.right)[self.batch + 1 :]]


def _of(left: Any, right: Any, inputs: int) -> Any:
    return ops.rebuild(lambda x, y: LowRank(x, y, inputs), left, right)
