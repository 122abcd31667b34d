"""Integer grids: symmetric or affine; per tensor, channel or group; with or without integer activations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, buffer, meta, node


def expand_blocks(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Repeats each entry over its block: `x.shape[i]` must divide `shape[i]`.

    Args:
        x: `[s_0, ..., s_n]`, one entry a block.
        shape: `[d_0, ..., d_n]`, with `s_i` dividing `d_i`.

    Returns:
        Array that broadcasts against `shape`; axes with one block stay of length 1.

    Raises:
        ValueError: If an axis does not divide.

    Example:
        >>> expand_blocks(jnp.array([1, 2]), (4,)).tolist()
        [1, 1, 2, 2]
    """
    if len(x.shape) != len(shape) or any(d % s if s else d for s, d in zip(x.shape, shape, strict=True)):
        raise ValueError(f"blocks of shape {x.shape} do not tile {shape}; every axis must divide")
    for axis, (blocks, length) in enumerate(zip(x.shape, shape, strict=True)):
        if blocks not in (1, length):
            x = jnp.repeat(x, length // blocks, axis=axis, total_repeat_length=length)
    return x


def storage_order(ndim: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Full permutation from dense axes to stored axes; `order` speaks of the trailing axes only.

    Args:
        ndim: Number of dense axes.
        order: Permutation of the last `len(order)` axes; empty for none.

    Returns:
        Permutation of all axes.

    Example:
        >>> storage_order(3, (1, 0))
        (0, 2, 1)
    """
    lead = ndim - len(order)
    return (*range(lead), *(lead + i for i in order))


@node
class Quantized(Node):
    """Integer codes on a uniform grid.

    .. math:: W = s\\,(q - z)

    Attributes:
        codes: `[*shape]` permuted by `order`, int8 (symmetric) or uint8 (affine), values of `bits` bits.
        scale: One axis for every axis of `shape`; each divides it, so one entry serves one block: `[1, 1]` per tensor,
            `[1, out]` per channel, `[in / group, out]` per group.
        zero_point: As `scale`, int32, or None when symmetric.
        activation_scale: Scalar for `activation="static"`, else None.
        bits: 2 to 8.
        order: Stored order of the trailing axes. `(1, 0)` keeps a `[in, out]` kernel as `[out, in]`, on which
            integer products run several times faster on CPUs.
        activation: None (float activations), `"dynamic"` (int8, one scale a row) or `"static"` (int8, one scale).
        dtype_name: Dtype of the dense tensor.

    Example:
        >>> Quantized(jnp.array([[1, -2]], jnp.int8), jnp.array([[0.5]])).materialize().tolist()
        [[0.5, -1.0]]

    Source: Jacob et al., arXiv:1712.05877.
    """

    codes: Any = buffer()
    scale: Any = buffer()
    zero_point: Any = buffer(default=None)
    activation_scale: Any = buffer(default=None)
    bits: int = meta(default=8)
    order: tuple[int, ...] = meta(default=())
    activation: str | None = meta(default=None)
    dtype_name: str = meta(default="float32")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        stored = self.codes.shape
        permutation = storage_order(len(stored), self.order)
        return tuple(int(stored[permutation.index(axis)]) for axis in range(len(stored)))

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return jnp.dtype(self.dtype_name)

    def dense_codes(self) -> jax.Array:
        """The codes with axes in the order of the dense tensor."""
        permutation = storage_order(self.codes.ndim, self.order)
        back = tuple(permutation.index(axis) for axis in range(len(permutation)))
        return jnp.transpose(self.codes, back) if self.order else jnp.asarray(self.codes)

    def materialize(self) -> jax.Array:
        """Scale times shifted codes."""
        codes = self.dense_codes().astype(jnp.float32)
        if self.zero_point is not None:
            codes = codes - expand_blocks(jnp.asarray(self.zero_point), self.shape).astype(jnp.float32)
        scale = expand_blocks(jnp.asarray(self.scale), self.shape).astype(jnp.float32)
        return (codes * scale).astype(self.dtype)

    def size_bits(self, kept: int | None = None) -> int:
        """Codes at their bit width, plus scales and zero points at their own."""
        overhead = 0
        for x in (self.scale, self.zero_point, self.activation_scale):
            if x is not None:
                overhead += int(np.prod(x.shape, dtype=np.int64)) * 8 * np.dtype(x.dtype).itemsize
        return (self.size if kept is None else kept) * self.bits + overhead

    def describe(self) -> str:
        """Bits, scales, and what the activations are."""
        scales = f"{self.bits} bits, scale {list(self.scale.shape)}" + ", zero point" * (self.zero_point is not None)
        return scales + (f", {self.activation} activations" if self.activation else "")

    def stacked(self) -> "Quantized | None":
        """Every array carries axis 0, scales broadcast where one served all layers."""
        length = self.shape[0]
        if len(self.order) >= len(self.shape) or self.scale.shape[0] not in (1, length):
            return None

        def spread(x: Any) -> Any:
            return None if x is None else jnp.broadcast_to(x, (length, *x.shape[1:]))

        return Quantized(
            self.codes, spread(self.scale), spread(self.zero_point), spread(self.activation_scale),
            self.bits, self.order, self.activation, self.dtype_name,
        )  # fmt: skip
