"""What nodes of matrices share whose sides stand for several axes of a tensor."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Product, Window, entry_bits, ops


class MatrixNode(Node):
    """A node of matrices `[*batch, rows, columns]` that stands for tensors `[*batch, *inputs, *outputs]`.

    Subclasses hold the sizes of the axes of both sides in `inputs` and `outputs`, and define what follows here.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def _fields(self) -> tuple[Any, ...]:
        """Arrays or nodes whose leading axes are the batch axes."""
        raise TypeError(f"{type(self).__name__} must define _fields")

    def _made(self, fields: tuple[Any, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Node:
        """The node of other fields and sizes."""
        raise TypeError(f"{type(self).__name__} must define _made")

    def _lead(self) -> tuple[int, ...]:
        """Sizes of the batch axes."""
        raise TypeError(f"{type(self).__name__} must define _lead")

    def _turned(self) -> tuple[Any, ...]:
        """Fields of the transposed matrix."""
        raise TypeError(f"{type(self).__name__} must define _turned")

    def _matrix(self) -> jax.Array:
        """The matrices `[*batch, rows, columns]`."""
        raise TypeError(f"{type(self).__name__} must define _matrix")

    def _times(self, x: jax.Array, precision: Any) -> jax.Array:
        """The product of rows `[n, rows]` with one matrix."""
        raise TypeError(f"{type(self).__name__} must define _times")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (*self._lead(), *self.inputs, *self.outputs)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self._fields()[0].dtype)

    def materialize(self) -> jax.Array:
        """The dense tensor."""
        return self._matrix().reshape(self.shape).astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of all fields; an outer mask does not reduce them."""
        del kept
        return sum(entry_bits(part) for part in self._fields())

    def _each(self, change: Callable[[Any], Any]) -> Any:
        return self._with(*(change(part) for part in self._fields()))

    def _with(self, *fields: Any) -> Any:
        return ops.rebuild(lambda *parts: self._made(parts, self.inputs, self.outputs), *fields)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Exchanges inputs and outputs."""
        b, n, i = len(self._lead()), self.ndim, len(self.inputs)
        if permutation == tuple(range(n)):
            return self
        if permutation == (*range(b), *range(b + i, n), *range(b, b + i)):
            return self._made(self._turned(), self.outputs, self.inputs)
        return Dense("the permutation does more than exchange inputs and outputs")

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Merges and splits axes of one side."""
        b, rows = len(self._lead()), math.prod(self.inputs)
        body = sizes[b:]
        cuts = [k for k in range(1, len(body)) if math.prod(body[:k]) == rows]
        if sizes[:b] != self._lead() or not cuts:
            return Dense("the reshape merges inputs with outputs, or changes the batch axes")
        return self._made(self._fields(), body[: cuts[0]], body[cuts[0] :])

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices the batch axes."""
        b = len(self._lead())
        if any(window[b:]):
            return Dense("the slice removes rows or columns")
        return self._each(lambda part: ops.cut(part, (*window[:b], *(None,) * (len(part.shape) - b))))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins batches of matrices."""
        parts, b = [self, *others], len(self._lead())
        forms = {(p.inputs, p.outputs, tuple(x.shape[b:] for x in p._fields())) for p in parts}
        if axis >= b or len(forms) > 1:
            return Dense("such matrices can only be joined along a batch axis, with factors of one size")
        return self._with(*(ops.concatenate(xs, axis) for xs in zip(*(p._fields() for p in parts), strict=True)))

    def convert(self, dtype: Any) -> Any:
        """Converts all fields."""
        return self._each(lambda part: ops.convert(part, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Returns matrices of a batch."""
        if not self._lead():
            return Dense("rows of one matrix are in no factor")
        found = self._each(lambda part: ops.rows(part, indices))
        return found if isinstance(found, Dense) else found.materialize()

    def dot(self, x: jax.Array, product: Product) -> Any:
        """The product with one matrix, over all of its inputs or outputs."""
        p, i = product, len(self.inputs)
        pairs = sorted(zip(p.sum, p.x_sum, strict=True))
        axes = tuple(a for a, _ in pairs)
        sides = {tuple(range(i)): self, tuple(range(i, self.ndim)): self}
        if self._lead() or axes not in sides:
            return Dense("the product does not sum over one whole side of a single matrix; scan over the batch")
        one: Any = self if axes[0] == 0 else self._made(self._turned(), self.outputs, self.inputs)
        free = p.x_free(x.ndim)
        rows = jnp.transpose(x, (*free, *(a for _, a in pairs)))
        kept = rows.shape[: len(free)]
        found = one._times(rows.reshape(*kept, math.prod(one.inputs)), p.precision).reshape(*kept, *one.outputs)
        return found.astype(p.dtype or jnp.result_type(x.dtype, self.dtype))

    def prepare(self) -> Any:
        """Prepares the fields, or multiplies them once if that makes products cheaper."""
        return self._each(ops.prepare) if self.multiply_adds() < self.size else self.materialize()

    def pack(self) -> Any:
        """Packs all fields."""
        return self._each(ops.pack)

    def stacked(self) -> "Node | None":
        """With a batch axis, all fields already have axis 0."""
        parts = [ops.stacked(part) for part in self._fields()] if self._lead() else [None]
        return None if any(part is None for part in parts) else self._made(tuple(parts), self.inputs, self.outputs)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the batch axes like the tensor; every device holds whole matrices."""
        b = len(self._lead())
        if any(axes[b:]):
            return Dense("a factor would be split over several devices")
        return self._each(lambda part: ops.specs(part, axes[:b], sizes))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the batch axes."""
        b = len(self._lead())
        return [*ops.mesh_axes(self._fields()[0])[:b], *(None for _ in range(self.ndim - b))]
