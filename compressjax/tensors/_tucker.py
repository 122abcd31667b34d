"""Tucker-2 factorization: factors over input and output channels around a smaller kernel."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Convolution, Dense, Node, Product, Window, dense, entry_bits, meta, node, ops, value


@node
class Tucker(Node):
    """A small kernel between two factors, for convolutions and dense layers.

    .. math:: W_{k\\dots i o} = \\sum_{r q} L_{i r} C_{k\\dots r q} R_{q o}

    A convolution runs as three: 1x1 with `L`, that of the small kernel, 1x1 with `R`.

    Attributes:
        left: `[*batch, in, r]`, array or node.
        core: The kernel with `r` and `q` in the place of `in` and `out`, array or node.
        right: `[*batch, q, out]`, array or node.
        inputs: The axis of `in`, counted from the end.
        outputs: The axis of `out`, counted from the end.

    Example:
        >>> Tucker(jnp.ones((8, 2)), jnp.ones((3, 3, 2, 4)), jnp.ones((4, 16))).shape
        (3, 3, 8, 16)

    Source: Kim et al., arXiv:1511.06530 (kim2015).
    """

    left: Any = value()
    core: Any = value()
    right: Any = value()
    inputs: int = meta(default=-2)
    outputs: int = meta(default=-1)

    @property
    def batch(self) -> int:
        """Number of leading axes that all three share."""
        return len(self.left.shape) - 2

    @property
    def _sides(self) -> tuple[int, int]:
        n = len(self.core.shape)
        return n + self.inputs, n + self.outputs

    def _placed(self, axes: Any, first: Any, last: Any) -> tuple[Any, ...]:
        """Items per axis with others in the places of inputs and outputs."""
        i, o = self._sides
        return tuple(first if a == i else last if a == o else x for a, x in enumerate(axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return self._placed(self.core.shape, self.left.shape[-2], self.right.shape[-1])

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.core.dtype)

    def misfit(self) -> str:
        """Factors and kernel share their ranks and their batch axes."""
        left, core, right, b = tuple(self.left.shape), tuple(self.core.shape), tuple(self.right.shape), self.batch
        i, o = self._sides
        placed = b >= 0 and i != o and b <= min(i, o) and max(i, o) < len(core) and len(right) == b + 2
        if placed and left[:b] == core[:b] == right[:b] and (left[-1], right[-2]) == (core[i], core[o]):
            return ""
        return (
            f"left has the shape {left}, core {core}, right {right}, with inputs={self.inputs}, outputs={self.outputs}"
        )

    def materialize(self) -> jax.Array:
        """Multiplies the kernel by both factors."""
        axes, high = list(range(len(self.core.shape))), jax.lax.Precision.HIGHEST
        (i, o), lead, r, q = self._sides, axes[: self.batch], len(axes), len(axes) + 1
        # Fused into loops, or with what made the factors, products would round in another way than one after the other.
        core, left, right = jax.lax.optimization_barrier((dense(self.core), dense(self.left), dense(self.right)))
        half = jnp.einsum(
            core, self._placed(axes, r, q), right, [*lead, q, o], self._placed(axes, r, o), precision=high
        )
        half = jax.lax.optimization_barrier(half)
        whole = jnp.einsum(left, [*lead, i, r], half, self._placed(axes, r, o), axes, precision=high)
        return whole.astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of kernel and factors; an outer mask does not reduce them."""
        del kept
        return sum(entry_bits(part) for part in self._fields())

    def describe(self) -> str:
        """Ranks of the factors."""
        return f"ranks {self.left.shape[-1]} and {self.right.shape[-2]}"

    def _fields(self) -> tuple[Any, Any, Any]:
        return self.left, self.core, self.right

    def _of(self, left: Any, core: Any, right: Any, sides: tuple[int, int] | None = None) -> Any:
        inputs, outputs = sides or (self.inputs, self.outputs)
        return ops.rebuild(lambda x, y, z: Tucker(x, y, z, inputs, outputs), left, core, right)

    def _each(self, change: Callable[[Any], Any]) -> Any:
        return self._of(*(change(part) for part in self._fields()))

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Permutes the axes of the kernel, whatever they are."""
        if permutation[: self.batch] != tuple(range(self.batch)):
            return Dense("stacked factors cannot move their batch axis")
        sides = tuple(permutation.index(side) - self.ndim for side in self._sides)
        return self._of(self.left, ops.transpose(self.core, permutation), self.right, (sides[0], sides[1]))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes the axes before, between and after inputs and outputs."""
        places: list[int] = []
        for side in self._sides:
            before, size = math.prod(self.shape[:side]), self.shape[side]
            fits = [j for j, n in enumerate(sizes) if n == size and math.prod(sizes[:j]) == before and j not in places]
            places += fits[:1]
        ordered = len(places) == 2 and (places[0] < places[1]) == (self._sides[0] < self._sides[1])
        if not ordered or sizes[: self.batch] != self.shape[: self.batch] or min(places) < self.batch:
            return Dense("the reshape merges or splits the axis of a factor")
        r, q = self.left.shape[-1], self.right.shape[-2]
        core = tuple(r if j == places[0] else q if j == places[1] else n for j, n in enumerate(sizes))
        sides = places[0] - len(sizes), places[1] - len(sizes)
        return self._of(self.left, ops.reshape(self.core, core), self.right, sides)

    def _parts(self, axes: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
        """Splits one item per tensor axis into items per axis of the fields; ranks get None."""
        (i, o), lead = self._sides, axes[: self.batch]
        return (*lead, axes[i], None), self._placed(axes, None, None), (*lead, None, axes[o])

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices the factors along inputs and outputs, the kernel elsewhere."""
        return self._of(*(ops.cut(x, part) for x, part in zip(self._fields(), self._parts(window), strict=True)))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins stacks of kernels of the same ranks."""
        parts = [self, *others]
        kinds = {(p.inputs, p.outputs, p.left.shape[-1], p.right.shape[-2], p.ndim) for p in parts}
        if axis >= self.batch or len(kinds) > 1:
            return Dense("factorized kernels can only be joined along a batch axis, at the same ranks")
        return self._of(*(ops.concatenate(xs, axis) for xs in zip(*(p._fields() for p in parts), strict=True)))

    def convert(self, dtype: Any) -> Any:
        """Converts kernel and factors."""
        return self._each(lambda part: ops.convert(part, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Dense rows from those of the field that holds axis 0."""
        if self.batch:
            found = self._each(lambda part: ops.rows(part, indices))
        else:
            at = 0 if self._sides[0] == 0 else 1
            if self._sides[1] == 0:
                return Dense("axis 0 is that of the outputs")
            found = self._of(*(ops.rows(x, indices) if k == at else x for k, x in enumerate(self._fields())))
        return found if isinstance(found, Dense) else found.materialize()

    def dot(self, x: jax.Array, product: Product) -> Any:
        """A product with each factor, before that of the kernel where it is summed over, else after."""
        p, b = product, self.batch
        if sorted(p.batch) != list(range(b)):
            return Dense("the batch axes of the product are not those of the factors")
        later = []
        for side, factor, near in ((self._sides[0], self.left, b), (self._sides[1], self.right, b + 1)):
            if side in p.sum:
                x = _along(x, p.x_sum[p.sum.index(side)], p.x_batch, factor, near, p)
            else:
                later.append((side, factor, 2 * b + 1 - near))
        out = ops.product(x, self.core, p)
        start = b + len(p.x_free(x.ndim))
        for side, factor, near in later:
            out = _along(out, start + p.free(self.ndim).index(side), tuple(range(b)), factor, near, p)
        return out

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """A 1x1 convolution, that of the small kernel, and another 1x1 convolution."""
        c = convolution
        out, inputs, *_ = c.dimension_numbers.rhs_spec
        if c.feature_group_count != 1 or c.batch_group_count != 1:
            return Dense("factorized kernels of grouped convolutions have no faster form")
        if self.batch or {out, inputs} != set(self._sides):
            return Dense("the factors are not those of the channels")
        first, last = (self.left, self.right) if inputs == self._sides[0] else (self.right, self.left)
        side = 0 if inputs == self._sides[0] else 1
        one = Product((), (), (), (), c.precision, c.dtype)
        thin = ops.product(_along(x, c.dimension_numbers.lhs_spec[1], (), first, side, one), self.core, c)
        return _along(thin, c.dimension_numbers.out_spec[1], (), last, side, one)

    def prepare(self) -> Any:
        """Prepares the fields, or multiplies them once if that makes products cheaper."""
        return self._each(ops.prepare) if self.multiply_adds() < self.size else self.materialize()

    def pack(self) -> Any:
        """Packs kernel and factors."""
        return self._each(ops.pack)

    def multiply_adds(self) -> int:
        """Multiply-adds of kernel and factors."""
        return sum(ops.multiply_adds(part) for part in self._fields())

    def stacked(self) -> "Tucker | None":
        """With a batch axis, all fields already have axis 0."""
        left, core, right = (ops.stacked(part) if self.batch else None for part in self._fields())
        whole = left is not None and core is not None and right is not None
        return Tucker(left, core, right, self.inputs, self.outputs) if whole else None

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards factors along inputs and outputs, the kernel elsewhere; ranks are never sharded."""
        parts = zip(self._fields(), self._parts(axes), strict=True)
        return self._of(*(ops.specs(x, part, sizes) for x, part in parts))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of inputs and outputs from the factors, of others from the kernel."""
        left, right = ops.mesh_axes(self.left), ops.mesh_axes(self.right)
        return list(self._placed(ops.mesh_axes(self.core), left[-2], right[-1]))


def _along(x: jax.Array, axis: int, batch: tuple[int, ...], factor: Any, near: int, p: Product) -> jax.Array:
    """`x` with one axis multiplied by a factor, which is summed over its axis `near`, in the same place."""
    lead = p.batch if batch else ()
    out = ops.product(x, factor, Product((axis,), batch, (near,), lead, p.precision, p.dtype))
    order = [*batch, *(a for a in range(x.ndim) if a not in batch and a != axis), axis]
    return jnp.transpose(out, [order.index(a) for a in range(x.ndim)])
