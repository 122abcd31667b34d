"""Weight sharing: every entry is one of k centroids."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, buffer, dense, entry_bits, node, value


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

    def stacked(self) -> "Codebook | None":
        """A shared table is repeated for every layer; the codes carry axis 0 already."""
        if self.batch == 0:
            shared = dense(self.centroids)
            return Codebook(jnp.broadcast_to(shared, (self.shape[0], *shared.shape)), self.codes)
        table = self.centroids.stacked() if isinstance(self.centroids, Node) else self.centroids
        return None if table is None else Codebook(table, self.codes)
