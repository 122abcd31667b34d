"""Vector codebooks: runs of entries along one axis are centroids of a table."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, buffer, dense, entry_bits, meta, node, ops, value


@node
class VectorCodebook(Node):
    """A tensor cut into vectors along one axis; every vector is an entry of the table of its group.

    .. math:: W_{(s d + t)\\,r} = c_{g(s),\\,a_{s r},\\,t}

    where `g(s)` numbers equal groups of the places `s` along the axis. One group shares a table; as many groups as
    places are the subspaces of product quantization; with `d = 1`, groups of channels have tables of their own.

    Attributes:
        centroids: `[*batch, g, k, d]`, array or node.
        codes: `[*batch, *sizes]` with the cut axis `d` times shorter, unsigned integers below k.
        axis: The cut axis, counted from the end: -1 is the last.

    Example:
        >>> table = jnp.array([[[1.0, 2.0], [3.0, 4.0]]])
        >>> VectorCodebook(table, jnp.array([[1], [0]], jnp.uint8), -1).materialize().tolist()
        [[3.0, 4.0], [1.0, 2.0]]

    Source: Stock et al., And the bit goes down, arXiv:1907.05686 (stock2020).
    """

    centroids: Any = value()
    codes: Any = buffer()
    axis: int = meta()

    @property
    def batch(self) -> int:
        """Number of leading batch axes."""
        return len(self.centroids.shape) - 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        sizes = list(self.codes.shape)
        sizes[self.axis] *= self.centroids.shape[-1]
        return tuple(sizes)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.centroids.dtype)

    def misfit(self) -> str:
        """Groups divide the places along the axis, and tables have the batch axes of the codes."""
        tables, codes = tuple(self.centroids.shape), tuple(self.codes.shape)
        axes = len(codes) - max(self.batch, 0)
        fits = len(tables) > 2 and -axes <= self.axis < 0 and codes[: self.batch] == tables[:-3]
        if fits and tables[-3] and codes[self.axis] % tables[-3] == 0:
            return ""
        return f"the centroids have the shape {tables}, the codes {codes}, cut along the axis {self.axis}"

    def materialize(self) -> jax.Array:
        """Looks up the vector of every code."""

        def look(table: jax.Array, codes: jax.Array) -> jax.Array:
            moved = jnp.moveaxis(codes.astype(jnp.int32), self.axis, 0)
            found = _gather(table, moved, jnp.arange(moved.shape[0]), moved.shape[0])
            flat = jnp.moveaxis(found, -1, 1).reshape(-1, *moved.shape[1:])
            return jnp.moveaxis(flat, 0, self.axis)

        for _ in range(self.batch):
            look = jax.vmap(look)
        return look(dense(self.centroids), jnp.asarray(self.codes))

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the codes, ceil(log2 k) each, plus the tables; an outer mask does not reduce them."""
        del kept
        width = max(int(self.centroids.shape[-2]) - 1, 0).bit_length()
        return int(np.prod(self.codes.shape, dtype=np.int64)) * width + entry_bits(self.centroids)

    def describe(self) -> str:
        """Groups, centroids, and the length of a vector."""
        groups, k, d = self.centroids.shape[-3:]
        return f"{groups} x k={k}, {d} entries each"

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Permutes the axes of the codes, if the batch axes of the tables stay in place."""
        if permutation[: self.batch] != tuple(range(self.batch)):
            return Dense("the tables belong to leading axes that would move")
        ndim = len(self.codes.shape)
        axis = permutation.index(ndim + self.axis) - ndim
        return VectorCodebook(self.centroids, jnp.transpose(self.codes, permutation), axis)

    def convert(self, dtype: Any) -> Any:
        """Converts the centroids."""
        return ops.rebuild(lambda t: self.replace(centroids=t), ops.convert(self.centroids, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """Gathers the vectors of the rows."""
        if self.batch:
            return Dense("the rows of a stack are whole tensors")
        places, d = self.codes.shape[self.axis], self.centroids.shape[-1]
        if len(self.codes.shape) + self.axis:
            return self.replace(codes=ops.rows(self.codes, indices)).materialize()
        rows = jnp.clip(indices, 0, places * d - 1)
        codes = jnp.take(self.codes, rows // d, axis=0).astype(jnp.int32)
        found = _gather(dense(self.centroids), codes, rows // d, places)
        return jnp.take_along_axis(found, (rows % d).reshape(-1, *(1,) * codes.ndim), -1)[..., 0]


def _gather(table: jax.Array, codes: jax.Array, places: jax.Array, count: int) -> jax.Array:
    """Vectors `[s, ..., d]` of codes `[s, ...]` that stand at some of `count` places."""
    groups = places // (count // table.shape[0])
    return table[groups.reshape(-1, *(1,) * (codes.ndim - 1)), codes]
