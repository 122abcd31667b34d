"""Weight sharing: every entry is one of k centroids."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Window, buffer, dense, entry_bits, node, ops, value


@node
class Codebook(Node):
    """Entries that share the values of a small table.

    .. math:: W_i = c_{a_i}

    Attributes:
        centroids: `[*batch, k]`, array or node (a `Quantized` table makes the whole tensor an integer grid).
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
        """Number of leading axes with a table each."""
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
        """Entries of any table of the centroids' shape, by the codes."""
        if self.batch == 0:
            return jnp.take(table, self.codes, axis=0, mode="clip")
        flat = jnp.reshape(self.codes, (*self.codes.shape[: self.batch], -1)).astype(jnp.int32)
        return jnp.take_along_axis(table, flat, axis=-1, mode="clip").reshape(self.codes.shape)

    def materialize(self) -> jax.Array:
        """The centroid of every entry."""
        return self.lookup(dense(self.centroids))

    def size_bits(self, kept: int | None = None) -> int:
        """The codes at ceil(log2 k) bits, plus the table."""
        width = max(int(self.centroids.shape[-1]) - 1, 0).bit_length()
        return (self.size if kept is None else kept) * width + entry_bits(self.centroids)

    def describe(self) -> str:
        """The number of centroids."""
        return f"k={self.centroids.shape[-1]}"

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """The codes transposed, if axes with a table each stay in place."""
        if permutation[: self.batch] != tuple(range(self.batch)):
            return super().transpose(permutation)
        return Codebook(self.centroids, jnp.transpose(self.codes, permutation))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """The codes reshaped, if axes with a table each stay apart from the others."""
        tables = math.prod(self.shape[: self.batch])
        lead = next((k for k in range(len(sizes) + 1) if math.prod(sizes[:k]) == tables), None)
        if lead is None:
            return Dense("the reshape joins entries of different tables in one axis")
        table = ops.reshape(self.centroids, (*sizes[:lead], self.centroids.shape[-1])) if self.batch else self.centroids
        return ops.rebuild(lambda t: Codebook(t, jnp.reshape(self.codes, sizes)), table)

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """A window of the codes, and of the axes with a table each."""
        tables = ops.cut(self.centroids, [*window[: self.batch], None])
        return ops.rebuild(lambda t: Codebook(t, ops.cut(self.codes, window)), tables)

    def convert(self, dtype: Any) -> Any:
        """The centroids converted."""
        return ops.rebuild(lambda t: Codebook(t, self.codes), ops.convert(self.centroids, dtype))

    def rows(self, indices: jax.Array) -> Any:
        """The centroids of the rows' codes."""
        table = ops.rows(self.centroids, indices) if self.batch else self.centroids
        return ops.rebuild(lambda t: Codebook(t, ops.rows(self.codes, indices)).materialize(), table)

    def as_grid(self) -> Any:
        """One table on a grid makes the whole tensor a grid."""
        table = Dense("") if self.batch else ops.as_grid(self.centroids)
        grid = None if isinstance(table, Dense) else table.looked_up(self.lookup)
        return Dense("a table of floats saves bytes; the product runs in floating point") if grid is None else grid

    def stacked(self) -> "Codebook | None":
        """A shared table is repeated for every layer; the codes carry axis 0 already."""
        if self.batch == 0:
            shared = dense(self.centroids)
            return Codebook(jnp.broadcast_to(shared, (self.shape[0], *shared.shape)), self.codes)
        table = ops.stacked(self.centroids)
        return None if table is None else Codebook(table, self.codes)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """The codes lie as the tensor does; every device has the tables of its codes."""
        table = ops.specs(self.centroids, axes[: self.batch], sizes)
        return ops.rebuild(lambda t: Codebook(t, ops.specs(self.codes, axes, sizes)), table)

    def mesh_axes(self) -> list[Any]:
        """Those of the codes."""
        return ops.mesh_axes(self.codes)
