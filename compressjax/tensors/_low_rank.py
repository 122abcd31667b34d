"""Low rank: one factor over the input axes, one over the output axes."""

from typing import Any

import jax
import numpy as np

from compressjax.core import Node, dense, entry_bits, meta, node, value


@node
class LowRank(Node):
    """A product of two factors; one form serves dense, multi-axis (`DenseGeneral`) and convolution kernels.

    .. math:: W_{i\\dots o\\dots} = \\sum_r L_{i\\dots r} R_{r o\\dots}

    Attributes:
        left: `[*batch, *in, r]`, array or node; for a convolution `[h, w, in, r]`.
        right: `[*batch, r, *out]`, array or node.
        inputs: Number of input axes of `left`; what precedes them is batch (stacked layers).

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
        """Inner dimension."""
        return int(self.left.shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (*self.left.shape[:-1], *self.right.shape[self.batch + 1 :])

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.left.dtype)

    def materialize(self) -> jax.Array:
        """The product of the factors."""
        left, right = dense(self.left), dense(self.right)
        shared = tuple(range(self.batch))
        numbers = (((left.ndim - 1,), (self.batch,)), (shared, shared))
        return jax.lax.dot_general(left, right, numbers, precision=jax.lax.Precision.HIGHEST)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of both factors; a mask above does not make them smaller."""
        del kept
        return entry_bits(self.left) + entry_bits(self.right)

    def describe(self) -> str:
        """The rank."""
        return f"rank {self.rank}"

    def stacked(self) -> "LowRank | None":
        """Both factors carry axis 0 when there is a batch axis."""
        if self.batch < 1:
            return None
        left = self.left.stacked() if isinstance(self.left, Node) else self.left
        right = self.right.stacked() if isinstance(self.right, Node) else self.right
        return None if left is None or right is None else LowRank(left, right, self.inputs)
