"""Unstructured sparsity: a mask over an array or over another node."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, buffer, count_nonzero, dense, entry_bits, node, value


@node
class Masked(Node):
    """A tensor of which only the entries under a mask are stored.

    .. math:: W = M \\odot V

    Entries of `value` under a False mask carry no information; `masked` sets them to zero, and files drop them.

    Attributes:
        value: `[*shape]`, array or entry-wise node (`Quantized`, `Codebook`).
        mask: `[*shape]`, bool.

    Example:
        >>> Masked(jnp.array([1.0, 2.0]), jnp.array([True, False])).materialize().tolist()
        [1.0, 0.0]

    Source: Han et al., arXiv:1506.02626.
    """

    value: Any = value(aligned=True)
    mask: Any = buffer()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.mask.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.value.dtype)

    def materialize(self) -> jax.Array:
        """The dense tensor, exactly zero outside the mask."""
        full = dense(self.value)
        return jnp.where(self.mask, full, jnp.zeros((), full.dtype))

    def size_bits(self, kept: int | None = None) -> int:
        """One bit of mask an entry, plus the value at the kept entries; the mask must be concrete."""
        if not isinstance(self.mask, np.ndarray | jax.Array) or isinstance(self.mask, jax.core.Tracer):
            raise ValueError(f"the size of a Masked {self.shape} depends on its mask; ask outside of jit")
        stored = int(np.count_nonzero(np.asarray(self.mask)))
        if kept is None:
            return self.size + entry_bits(self.value, stored)
        return kept + entry_bits(self.value, min(stored, kept))

    def describe(self) -> str:
        """The share of zeros, where the mask is cheap to count."""
        kept = count_nonzero(self.mask)
        return super().describe() if kept is None or not self.size else f"{100 - 100 * kept / self.size:.4g}% zeros"

    def stacked(self) -> "Masked | None":
        """Both arrays carry axis 0 already, unless the value is a node that does not."""
        inner = self.value.stacked() if isinstance(self.value, Node) else self.value
        return None if inner is None else Masked(inner, self.mask)
