"""CP factorization: a sum of outer products of vectors, one for every axis."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Convolution, Dense, Node, Product, Window, dense, entry_bits, node, ops, value
from compressjax.tensors.quantized._depthwise import shifted_conv, shifts


@node
class CP(Node):
    """A sum of outer products, with one factor for every axis.

    .. math:: W_{a b \\dots} = \\sum_r A_{a r} B_{b r} \\cdots

    A convolution runs as a 1x1 convolution to `r` channels, one of each channel alone, and a 1x1 convolution.

    Attributes:
        factors: One `[*batch, size, r]` for every axis of the tensor behind the batch axes, arrays or nodes.

    Example:
        >>> CP((jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.ones((8, 2)), jnp.ones((16, 2)))).shape
        (3, 3, 8, 16)

    Source: Lebedev et al., arXiv:1412.6553 (lebedev2015).
    """

    factors: tuple[Any, ...] = value()

    @property
    def batch(self) -> int:
        """Number of leading axes that all factors share."""
        return len(self.factors[0].shape) - 2

    @property
    def rank(self) -> int:
        """Number of outer products."""
        return int(self.factors[0].shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (*self.factors[0].shape[: self.batch], *(f.shape[-2] for f in self.factors))

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.factors[0].dtype)

    def misfit(self) -> str:
        """All factors have one rank and the same batch axes."""
        shapes = [tuple(f.shape) for f in self.factors]
        same = len({(*s[:-2], s[-1]) for s in shapes}) == 1 and all(len(s) > 1 for s in shapes)
        return "" if same else f"the factors have the shapes {shapes}"

    def _outer(self, axes: tuple[int, ...]) -> jax.Array:
        """Products of the factors of some axes, `[*batch, *axes, r]`."""
        b, n = self.batch, len(axes)
        made: Any = jnp.ones((), self.dtype)
        for place, axis in enumerate(axes):
            factor = dense(self.factors[axis - b])
            sizes = [factor.shape[-2] if k == place else 1 for k in range(n)]
            made = made * factor.reshape(*factor.shape[:b], *sizes, self.rank)
        return made

    def materialize(self) -> jax.Array:
        """Adds the outer products."""
        b, n = self.batch, self.ndim
        left, last = self._outer(tuple(range(b, n - 1))), dense(self.factors[-1])
        lead = tuple(range(b))
        numbers = (((left.ndim - 1,), (last.ndim - 1,)), (lead, lead))
        return jax.lax.dot_general(left, last, numbers, precision=jax.lax.Precision.HIGHEST)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of all factors; an outer mask does not reduce them."""
        del kept
        return sum(entry_bits(f) for f in self.factors)

    def describe(self) -> str:
        """Number of outer products."""
        return f"rank {self.rank}"

    def _each(self, change: Callable[[Any], Any]) -> Any:
        return _of(*(change(f) for f in self.factors))

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Orders the factors anew."""
        b = self.batch
        if permutation[:b] != tuple(range(b)):
            return Dense("stacked factors cannot move their batch axis")
        return CP(tuple(self.factors[axis - b] for axis in permutation[b:]))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Adds and removes axes of length 1."""
        b = self.batch
        real = [f for f in self.factors if f.shape[-2] != 1]
        if sizes[:b] != self.shape[:b] or [n for n in sizes[b:] if n != 1] != [f.shape[-2] for f in real]:
            return Dense("the reshape merges or splits axes of the factors")
        # What axes of length 1 scale has to stay: one of the others takes it.
        scale: Any = jnp.ones((), self.dtype)
        for f in self.factors:
            scale = scale * dense(f) if f.shape[-2] == 1 else scale
        one = jnp.ones((*self.shape[:b], 1, self.rank), self.dtype)
        if real and len(real) < len(self.factors):
            real[0] = dense(real[0]) * scale
        rest = iter(real)
        made = [next(rest) if n != 1 else one for n in sizes[b:]]
        if not real:
            made = [scale * one, *made[1:]]
        return CP(tuple(made)) if len(made) else Dense("the reshape leaves no axis")

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices every factor."""
        lead = window[: self.batch]
        return _of(*(ops.cut(f, (*lead, w, None)) for f, w in zip(self.factors, window[self.batch :], strict=True)))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins stacks of tensors of one rank."""
        parts = [self, *others]
        if axis >= self.batch or len({(p.rank, p.ndim) for p in parts}) > 1:
            return Dense("factors can only be joined along a batch axis, at one rank")
        return _of(*(ops.concatenate(fs, axis) for fs in zip(*(p.factors for p in parts), strict=True)))

    def convert(self, dtype: Any) -> Any:
        """Converts the factors."""
        return self._each(lambda f: ops.convert(f, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Multiplies rows of the first factor, or of all in a stack, by the others."""
        if self.batch:
            found = self._each(lambda f: ops.rows(f, indices))
        else:
            found = _of(ops.rows(self.factors[0], indices), *self.factors[1:])
        return found if isinstance(found, Dense) else found.materialize()

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Two products: with the factors that are summed over, and with the others."""
        p, b = product, self.batch
        if sorted(p.batch) != list(range(b)):
            return Dense("the batch axes of the product are not those of the factors")
        if not p.sum or not p.free(self.ndim):
            return Dense("the product sums over all axes or none")
        near = self._outer(p.sum)
        inner = Product(p.x_sum, p.x_batch, tuple(range(b, b + len(p.sum))), p.batch, p.precision, p.dtype)
        thin, far = inner.dense(x, near), self._outer(p.free(self.ndim))
        lead = tuple(range(b))
        last = Product((thin.ndim - 1,), lead, (far.ndim - 1,), p.batch, p.precision, p.dtype)
        return last.dense(thin, far)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Channels to `r`, a convolution of each alone, and `r` to channels."""
        c, numbers = convolution, convolution.dimension_numbers
        out, inputs, *places = numbers.rhs_spec
        if self.batch or c.feature_group_count != 1 or c.batch_group_count != 1:
            return Dense("factors of grouped convolutions have no faster form")
        thin = _channels(x, numbers.lhs_spec[1], self.factors[inputs], 0, c)
        order = [*places, inputs, out]
        kernel = jnp.expand_dims(self._outer(tuple(places)), -2)
        # As the kernel is stored, with one input and `r` outputs.
        kernel = jnp.transpose(kernel, [order.index(a) for a in range(self.ndim)])
        alone = _replaced(c, self.rank)
        moved = shifted_conv(thin, kernel, alone) if shifts(thin, kernel, alone) else alone.dense(thin, kernel)
        return _channels(moved, numbers.out_spec[1], self.factors[out], 1, c)

    def prepare(self) -> Any:
        """Prepares the factors, or multiplies them once if that makes products cheaper."""
        return self._each(ops.prepare) if self.multiply_adds() < self.size else self.materialize()

    def pack(self) -> Any:
        """Packs the factors."""
        return self._each(ops.pack)

    def multiply_adds(self) -> int:
        """Multiply-adds of all factors, those of positions multiplied with one another."""
        lead, window = self.shape[: self.batch], self.shape[self.batch : -2]
        return (
            math.prod(lead) * self.rank * (math.prod(window) * (len(window) > 0) + sum(self.shape[self.batch :][-2:]))
        )

    def stacked(self) -> "CP | None":
        """With a batch axis, all factors already have axis 0."""
        parts = tuple(ops.stacked(f) for f in self.factors) if self.batch else (None,)
        return None if any(part is None for part in parts) else CP(parts)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards each factor like its axis; the rank is never sharded."""
        lead = axes[: self.batch]
        pairs = zip(self.factors, axes[self.batch :], strict=True)
        return _of(*(ops.specs(f, (*lead, axis, None), sizes) for f, axis in pairs))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of every factor."""
        every = [ops.mesh_axes(f) for f in self.factors]
        return [*every[0][: self.batch], *(axes[-2] for axes in every)]


def _of(*factors: Any) -> Any:
    return ops.rebuild(lambda *parts: CP(parts), *factors)


def _replaced(c: Convolution, groups: int) -> Convolution:
    return Convolution(
        c.window_strides,
        c.padding,
        c.lhs_dilation,
        c.rhs_dilation,
        c.dimension_numbers,
        groups,
        1,
        c.precision,
        c.dtype,
    )


def _channels(x: jax.Array, axis: int, factor: Any, near: int, c: Convolution) -> jax.Array:
    """`x` with its channels multiplied by a factor, summed over its axis `near`."""
    return jnp.moveaxis(ops.product(x, factor, Product((axis,), (), (near,), (), c.precision, c.dtype)), -1, axis)
