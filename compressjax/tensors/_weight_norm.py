"""A tensor in polar form: directions of one tensor, lengths of another."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, Window, dense, entry_bits, node, ops, value


@node
class WeightNorm(Node):
    """The directions of a tensor with lengths of their own.

    .. math:: W_{i o} = m_o \\, V_{i o} / \\|V_{\\cdot o}\\|

    Products run on the dense tensor, because the norms need it.

    Attributes:
        inner: `V`, array or node.
        magnitude: As many axes as the tensor, of length 1 where the norm is taken.

    Example:
        >>> WeightNorm(jnp.array([[3.0], [4.0]]), jnp.array([[10.0]])).materialize().ravel().tolist()
        [6.0, 8.0]

    Source: Salimans and Kingma, arXiv:1602.07868 (salimans2016).
    """

    inner: Any = value()
    magnitude: Any = value()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return tuple(self.inner.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.inner.dtype)

    def misfit(self) -> str:
        """Lengths belong to axes of the tensor."""
        shape, lengths = self.shape, tuple(self.magnitude.shape)
        fits = len(shape) == len(lengths) and all(m in (1, n) for m, n in zip(lengths, shape, strict=True))
        return "" if fits else f"the magnitude has the shape {lengths}, the tensor {shape}"

    def materialize(self) -> jax.Array:
        """Divides by the norms and multiplies by the lengths."""
        full, lengths = dense(self.inner).astype(jnp.float32), dense(self.magnitude).astype(jnp.float32)
        return (full * (lengths / norms(full, lengths.shape))).astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of tensor and lengths; an outer mask does not reduce them."""
        del kept
        return entry_bits(self.inner) + entry_bits(self.magnitude)

    def describe(self) -> str:
        """Number of lengths."""
        return f"{int(np.prod(self.magnitude.shape))} magnitudes"

    def _of(self, inner: Any, magnitude: Any) -> Any:
        return ops.rebuild(WeightNorm, inner, magnitude)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes tensor and lengths."""
        return self._of(ops.transpose(self.inner, permutation), ops.transpose(self.magnitude, permutation))

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices tensor and lengths along axes of lengths."""
        if any(w is not None and m == 1 < n for w, m, n in zip(window, self.magnitude.shape, self.shape, strict=True)):
            return Dense("the slice removes what the norms are taken of")
        own = tuple(w if m > 1 else None for w, m in zip(window, self.magnitude.shape, strict=True))
        return self._of(ops.cut(self.inner, window), ops.cut(self.magnitude, own))

    def convert(self, dtype: Any) -> Any:
        """Converts tensor and lengths."""
        return self._of(ops.convert(self.inner, dtype), ops.convert(self.magnitude, dtype))

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins along an axis of lengths."""
        parts = [self, *others]
        if any(p.magnitude.shape[axis] != p.shape[axis] for p in parts):
            return Dense("norms are taken along the axis of the join")
        return self._of(*(ops.concatenate([getattr(p, n) for p in parts], axis) for n in ("inner", "magnitude")))

    def pack(self) -> Any:
        """Packs tensor and lengths."""
        return self._of(ops.pack(self.inner), ops.pack(self.magnitude))

    def stacked(self) -> "WeightNorm | None":
        """With lengths for every index of axis 0, both already have it."""
        parts = ops.stacked(self.inner), ops.stacked(self.magnitude)
        whole = self.magnitude.shape[0] == self.shape[0] and all(part is not None for part in parts)
        return WeightNorm(*parts) if whole else None

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards tensor and lengths along axes of lengths."""
        if any(a is not None and m == 1 < n for a, m, n in zip(axes, self.magnitude.shape, self.shape, strict=True)):
            return Dense("norms would be taken over several devices")
        own = tuple(a if m > 1 else None for a, m in zip(axes, self.magnitude.shape, strict=True))
        return self._of(ops.specs(self.inner, axes, sizes), ops.specs(self.magnitude, own, sizes))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the tensor."""
        return ops.mesh_axes(self.inner)


def norms(full: jax.Array, lengths: tuple[int, ...]) -> jax.Array:
    """Norms over the axes where there is one length; 1 for zeros, with a gradient of 0."""
    axes = tuple(a for a, m in enumerate(lengths) if m == 1)
    squares = jnp.sum(full * full, axis=axes, keepdims=True)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 1.0)
