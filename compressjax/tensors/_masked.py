"""Unstructured sparsity: a mask over an array or over another node."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import (
    Convolution,
    Dense,
    Node,
    Product,
    Ragged,
    Window,
    buffer,
    dense,
    entry_bits,
    node,
    ops,
    value,
)
from compressjax.core._line import count_nonzero


@node
class Masked(Node):
    """A tensor that stores only the entries that a mask keeps.

    .. math:: W = M \\odot V

    Entries of `value` where the mask is False carry no information; `masked` sets them to zero, and files omit them.

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

    def misfit(self) -> str:
        """The value has the shape of the mask."""
        value, mask = tuple(self.value.shape), tuple(self.mask.shape)
        return "" if value == mask else f"the value has the shape {value}, the mask {mask}"

    def materialize(self) -> jax.Array:
        """Dense tensor, exactly zero outside the mask."""
        full = dense(self.value)
        return jnp.where(self.mask, full, jnp.zeros((), full.dtype))

    def size_bits(self, kept: int | None = None) -> int:
        """One mask bit per entry, plus the bits of the kept entries; the mask must be concrete."""
        if not isinstance(self.mask, np.ndarray | jax.Array) or isinstance(self.mask, jax.core.Tracer):
            raise ValueError(f"the size of a Masked {self.shape} depends on its mask; call size_bits outside of jit")
        stored = int(np.count_nonzero(np.asarray(self.mask)))
        if kept is None:
            return self.size + entry_bits(self.value, stored)
        return kept + entry_bits(self.value, min(stored, kept))

    def describe(self) -> str:
        """Percentage of zeros, if the mask is cheap to count."""
        kept = count_nonzero(self.mask)
        return super().describe() if kept is None or not self.size else f"{100 - 100 * kept / self.size:.4g}% zeros"

    def _around(self, inner: Any, mask: Callable[[Any], Any]) -> Any:
        return ops.rebuild(lambda v: Masked(v, mask(self.mask)), inner)

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes value and mask."""
        return self._around(ops.transpose(self.value, permutation), lambda m: jnp.transpose(m, permutation))

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes value and mask."""
        return self._around(ops.reshape(self.value, sizes), lambda m: jnp.reshape(m, sizes))

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices value and mask."""
        return self._around(ops.cut(self.value, window), lambda m: ops.cut(m, window))

    def convert(self, dtype: Any) -> Any:
        """Converts the value."""
        return self._around(ops.convert(self.value, dtype), lambda m: m)

    def rows(self, indices: jax.Array) -> Any:
        """Rows of the value, zero outside the mask."""
        inner = ops.rows(self.value, indices)
        return ops.rebuild(lambda v: Masked(v, ops.rows(self.mask, indices)).materialize(), inner)

    def as_grid(self) -> Any:
        """Sets the codes of a symmetric grid to zero outside the mask."""
        grid = ops.as_grid(self.value)
        masked = None if isinstance(grid, Dense) else grid.masked(self.mask)
        return Dense("a mask saves bytes; this machine has no faster product for it") if masked is None else masked

    def dot(self, x: jax.Array, product: Product) -> Any:
        """Runs the product of the value, if that is an entry-wise node."""
        return super().dot(x, product) if self._inner is None else self._inner.dot(x, product)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """Runs the convolution of the value, if that is an entry-wise node."""
        return super().conv(x, convolution) if self._inner is None else self._inner.conv(x, convolution)

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """Runs the ragged product of the value, if that is an entry-wise node."""
        return super().ragged_dot(x, ragged) if self._inner is None else self._inner.ragged_dot(x, ragged)

    def concatenate(self, others: tuple[Any, ...], axis: int) -> Any:
        """Joins values and masks."""
        parts = [self, *others]
        inner = ops.concatenate([p.value for p in parts], axis)
        return self._around(inner, lambda m: ops.concatenate([p.mask for p in parts], axis))

    def prepare(self) -> Any:
        """Prepares the value, if that is an entry-wise node."""
        return super().prepare() if self._inner is None else self._inner.prepare()

    def input_errors(self, x: jax.Array, largest: jax.Array) -> Any:
        """Those of the value, if that is an entry-wise node."""
        inner = self._inner
        return super().input_errors(x, largest) if inner is None else inner.input_errors(x, largest)

    @property
    def _inner(self) -> Any:
        """The value with the mask inside of it; None if it is not an entry-wise node."""
        if isinstance(self.value, Masked):
            return Masked(self.value.value, self.mask & self.value.mask)
        if not (isinstance(self.value, Node) and self.value.aligned):
            return None
        return self.value.replace(**{name: Masked(getattr(self.value, name), self.mask) for name in self.value.aligned})

    def multiply_adds(self) -> int:
        """Number of kept entries, as if zeros were skipped, or the multiply-adds of the value if those are fewer."""
        return min(int(np.count_nonzero(np.asarray(self.mask))), ops.multiply_adds(self.value))

    def pack(self) -> Any:
        """Sets zeros in the value, so that no mask is held; packs value and mask where its form has no zero."""
        if not isinstance(self.value, Node):
            return self.materialize()
        zeroed = self.value.masked(self.mask)
        return Masked(ops.pack(self.value), self.mask) if zeroed is None else zeroed.pack()

    def stacked(self) -> "Masked | None":
        """Stacks the value; the mask already has axis 0."""
        inner = ops.stacked(self.value)
        return None if inner is None else Masked(inner, self.mask)

    def specs(self, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
        """Shards value and mask like the tensor."""
        return self._around(ops.specs(self.value, axes, sizes), lambda m: ops.specs(m, axes, sizes))

    def mesh_axes(self) -> list[Any]:
        """Mesh axes of the mask."""
        return ops.mesh_axes(self.mask)
