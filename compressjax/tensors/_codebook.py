"""Weight sharing: every entry is one of k centroids."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Window, buffer, dense, entry_bits, node, ops, value
from compressjax.numerics import with_auto_axes


@node
class Codebook(Node):
    """A tensor whose entries are indices into a small table of shared values.

    .. math:: W_i = c_{a_i}

    Attributes:
        centroids: `[*batch, k]`, array or node (with a `Quantized` table, the whole tensor is an integer grid).
        codes: `[*batch, *shape]`, unsigned integers below k.

    Example:
        >>> Codebook(jnp.array([-1.0, 2.0]), jnp.array([1, 0], jnp.uint8)).materialize().tolist()
        [2.0, -1.0]

    Source: Han et al., arXiv:1510.00149.
    """

    centroids: Any = value()
    codes: Any = buffer()

    @property
    def batch(self) -> int:
        """Number of leading axes along which every index has its own table."""
        return len(self.centroids.shape) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.codes.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.centroids.dtype)

    def lookup(self, table: jax.Array) -> jax.Array:
        """Looks up the codes in a table of the centroids' shape."""
        if self.batch == 0:
            # Under explicit axes, the entries are sharded as the codes are.
            look = with_auto_axes(lambda table, codes: jnp.take(table, codes, axis=0, mode="clip"), self.codes)
            return look(table, self._indices())
        flat = jnp.reshape(self._indices(), (*self.codes.shape[: self.batch], -1)).astype(jnp.int32)
        return jnp.take_along_axis(table, flat, axis=-1, mode="clip").reshape(self.codes.shape)

    def misfit(self) -> str:
        """Every table belongs to an index of the leading axes of the codes."""
        tables, codes = tuple(self.centroids.shape), tuple(self.codes.shape)
        fits = len(tables) > 0 and tables[:-1] == codes[: len(tables) - 1]
        return "" if fits else f"the centroids have the shape {tables}, the codes {codes}"

    def _indices(self) -> Any:
        """The codes in whole bytes."""
        return self.codes.astype(jnp.uint8) if jnp.iinfo(self.codes.dtype).bits < 8 else self.codes

    def materialize(self) -> jax.Array:
        """Looks up the centroid of every entry."""
        return self.lookup(dense(self.centroids))

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the codes, ceil(log2 k) each, plus the table."""
        width = max(int(self.centroids.shape[-1]) - 1, 0).bit_length()
        return (self.size if kept is None else kept) * width + entry_bits(self.centroids)

    def describe(self) -> str:
        """Number of centroids."""
        return f"k={self.centroids.shape[-1]}"

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes the codes, if the batch axes of the tables stay in place."""
        if permutation[: self.batch] != tuple(range(self.batch)):
            return super().transpose(permutation)
        return Codebook(self.centroids, jnp.transpose(self.codes, permutation))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes the codes, if the reshape keeps the tables' batch axes separate from all other axes."""
        tables = math.prod(self.shape[: self.batch])
        lead = next((k for k in range(len(sizes) + 1) if math.prod(sizes[:k]) == tables), None)
        if lead is None:
            return Dense("the reshape merges entries of different tables into one axis")
        table = ops.reshape(self.centroids, (*sizes[:lead], self.centroids.shape[-1])) if self.batch else self.centroids
        return ops.rebuild(lambda t: Codebook(t, jnp.reshape(self.codes, sizes)), table)

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices the codes, and the tables along their batch axes."""
        tables = ops.cut(self.centroids, [*window[: self.batch], None])
        return ops.rebuild(lambda t: Codebook(t, ops.cut(self.codes, window)), tables)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins tables of one size along their batch axes; each layer of a stack keeps its table."""
        parts = [self, *others]
        tables = [p.centroids for p in parts]
        lead = max(p.batch for p in parts)
        if axis == lead == 0 and all(p.shape[:1] == (1,) for p in parts):
            tables, lead = [ops.reshape(t, (1, *t.shape)) for t in tables], 1
        refused = [t for t in tables if isinstance(t, Dense)]
        if refused or axis >= lead or len({t.shape[lead:] for t in tables}) > 1:
            return Dense("entries of several tables cannot be joined along this axis")
        codes = ops.concatenate([p.codes for p in parts], axis)
        return ops.rebuild(lambda t: Codebook(t, codes), ops.concatenate(tables, axis))

    def convert(self, dtype: Any) -> Any:
        """Converts the centroids."""
        return ops.rebuild(lambda t: Codebook(t, self.codes), ops.convert(self.centroids, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Looks up the centroids of the rows."""
        table = ops.rows(self.centroids, indices) if self.batch else self.centroids
        return ops.rebuild(lambda t: Codebook(t, ops.rows(self.codes, indices)).materialize(), table)

    def as_grid(self) -> Any:
        """If the one table is an integer grid, the whole tensor is one."""
        table = Dense("") if self.batch else ops.as_grid(self.centroids)
        grid = None if isinstance(table, Dense) else table.looked_up(self.lookup)
        return Dense("a table of floats saves bytes; the product runs in floating point") if grid is None else grid

    def pack(self) -> Any:
        """Codes of at most 16 centroids in integers of 4 or 2 bits, which XLA keeps packed."""
        k, codes = self.centroids.shape[-1], self.codes
        if k <= 16:
            codes = jnp.asarray(codes).astype(jnp.uint4 if k > 4 else jnp.uint2)
        return Codebook(ops.pack(self.centroids), codes)

    def masked(self, mask: jax.Array) -> "Codebook | None":
        """Adds the centroid 0 for entries outside a mask; None if the table is a node or the codes would widen."""
        k = self.centroids.shape[-1]
        if isinstance(self.centroids, Node) or k >= 2 ** jnp.iinfo(self.codes.dtype).bits:
            return None
        zero = jnp.zeros((*self.centroids.shape[:-1], 1), self.centroids.dtype)
        codes = jnp.where(mask, self.codes, jnp.asarray(k, self.codes.dtype))
        return Codebook(jnp.concatenate([self.centroids, zero], axis=-1), codes)

    def stacked(self) -> "Codebook | None":
        """Repeats a shared table for every layer; the codes already have axis 0."""
        if self.batch == 0:
            shared = dense(self.centroids)
            return Codebook(jnp.broadcast_to(shared, (self.shape[0], *shared.shape)), self.codes)
        table = ops.stacked(self.centroids)
        return None if table is None else Codebook(table, self.codes)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards the codes like the tensor; every device holds the tables of its codes."""
        table = ops.specs(self.centroids, axes[: self.batch], sizes)
        return ops.rebuild(lambda t: Codebook(t, ops.specs(self.codes, axes, sizes)), table)

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the codes."""
        return ops.mesh_axes(self.codes)
