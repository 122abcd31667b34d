"""Sums of nodes: low rank plus sparse, grid plus correction."""

from typing import Any

import jax
import numpy as np

from compressjax.core import Node, dense, entry_bits, node, value


@node
class Sum(Node):
    """A sum of terms of one shape.

    .. math:: W = \\sum_j T_j

    Attributes:
        terms: Arrays or nodes, all of the dense shape.

    Example:
        >>> import jax.numpy as jnp
        >>> Sum((jnp.ones(2), jnp.ones(2))).materialize().tolist()
        [2.0, 2.0]

    Source: low rank plus sparse as in Candes et al., arXiv:0912.3599.
    """

    terms: tuple[Any, ...] = value()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.terms[0].shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.terms[0].dtype)

    def materialize(self) -> jax.Array:
        """The terms added from first to last."""
        total = dense(self.terms[0])
        for term in self.terms[1:]:
            total = total + dense(term)
        return total

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of all terms."""
        return sum(entry_bits(term, kept) for term in self.terms)

    def stacked(self) -> "Sum | None":
        """Every term stacked, or None when one cannot be."""
        terms = tuple(t.stacked() if isinstance(t, Node) else t for t in self.terms)
        return None if any(t is None for t in terms) else Sum(terms)
