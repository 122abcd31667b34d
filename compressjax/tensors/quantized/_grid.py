"""Fields of an integer grid and its dense tensor."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, dense, entry_bits
from compressjax.numerics import with_auto_axes
from compressjax.tensors.quantized._tables import TABLES


def expand_blocks(x: jax.Array, shape: tuple[int, ...], like: Any = None) -> jax.Array:
    """Repeats each entry over its block: `x.shape[i]` must divide `shape[i]`; the result is sharded as `like`."""
    if len(x.shape) != len(shape) or any(d % s if s else d for s, d in zip(x.shape, shape, strict=True)):
        raise ValueError(f"blocks of shape {x.shape} do not tile {shape}; every axis must divide")
    grouped = [axis for axis, blocks in enumerate(x.shape) if blocks not in (1, shape[axis])]

    def repeat(x: jax.Array) -> jax.Array:
        # Not `jnp.repeat`: that gathers, also what lies on other devices.
        tiled = [
            n for axis, b in enumerate(x.shape) for n in ((b, shape[axis] // b) if axis in grouped else (shape[axis],))
        ]
        return jnp.broadcast_to(jnp.expand_dims(x, [a + 1 + i for i, a in enumerate(grouped)]), tiled).reshape(shape)

    return with_auto_axes(repeat, like)(x) if grouped else x


def storage_order(ndim: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the permutation from dense axes to stored axes; `order` permutes the trailing axes only."""
    lead = ndim - len(order)
    return (*range(lead), *(lead + i for i in order))


class Grid(Node):
    """Base class of `Quantized` with its fields, for the modules that implement its layout changes and products."""

    codes: Any
    scale: Any
    zero_point: Any
    activation_scale: Any
    bits: int
    order: tuple[int, ...]
    activation: str | None
    dtype_name: str
    table: str | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        stored = self.codes.shape
        return tuple(stored[place] for place in self.places())

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return jnp.dtype(self.dtype_name)

    def stored(self) -> tuple[int, ...]:
        """Dense axis of every axis of the codes."""
        return storage_order(len(self.codes.shape), self.order)

    def places(self) -> tuple[int, ...]:
        """Axis of the codes for every dense axis."""
        stored = self.stored()
        return tuple(stored.index(axis) for axis in range(len(stored)))

    def dense_codes(self) -> jax.Array:
        """Codes with the axes in the order of the dense tensor."""
        return jnp.transpose(self.codes, self.places()) if self.order else jnp.asarray(self.codes)

    def counts(self) -> bool:
        """Whether codes are integers, so that products can run in integers."""
        return self.table is None and jnp.issubdtype(self.codes.dtype, jnp.integer)

    def plain(self) -> Any:
        """The same grid with float32 scales."""
        if getattr(self.scale, "dtype", None) == jnp.float32 and not isinstance(self.scale, Node):
            return self
        return self.replace(scale=dense(self.scale).astype(jnp.float32))

    def numbers(self) -> jax.Array:
        """What the codes stand for, in float32."""
        codes = self.dense_codes()
        if self.table is None:
            return codes.astype(jnp.float32)
        levels = jnp.asarray(TABLES[self.table])
        look = with_auto_axes(lambda codes: jnp.take(levels, codes.astype(jnp.uint8), mode="clip"), codes)
        return look(codes)

    def materialize(self) -> jax.Array:
        """Subtracts the zero point from the codes and multiplies by the scale."""
        codes = self.numbers()
        if self.zero_point is not None:
            codes = codes - expand_blocks(jnp.asarray(self.zero_point), self.shape, codes).astype(jnp.float32)
        scale = expand_blocks(dense(self.scale), self.shape, codes).astype(jnp.float32)
        return (codes * scale).astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of the codes, plus those of scales and zero points."""
        overhead = sum(entry_bits(x) for x in (self.scale, self.zero_point, self.activation_scale) if x is not None)
        return (self.size if kept is None else kept) * self.bits + overhead

    def describe(self) -> str:
        """Bit width, shape of the scale, and kind of activations."""
        kind = f"{self.bits} bits" if self.counts() else self.table or np.dtype(self.codes.dtype).name
        scales = f"{kind}, scale {list(self.scale.shape)}" + ", zero point" * (self.zero_point is not None)
        return scales + (f", {self.activation} activations" if self.activation else "")
