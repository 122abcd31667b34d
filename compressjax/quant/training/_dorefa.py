"""DoReFa: weights bounded by tanh, on an even grid from -1 to 1."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, on_values
from compressjax.core._settings import as_int
from compressjax.numerics._numerics import straight_through
from compressjax.tensors import Codebook

Arrays = dict[str, jax.Array]


def dorefa(bits: int = 2) -> Compression:
    """Trains weights through tanh and an even grid of `2^b` values from -1 to 1.

    .. math:: \\hat W = 2 q_b\\!\\left(\\frac{\\tanh W}{2 \\max |\\tanh W|} + \\frac12\\right) - 1, \\quad
        q_b(r) = \\frac{round((2^b - 1)\\, r)}{2^b - 1}, \\qquad b = 1: \\; \\hat W = mean|W| \\; sign(W)

    Gradients pass through the tanh and straight through the rounding. For 2 bits and more the scale of a layer is
    fixed, so a norm or a learned scale has to follow it. Takes `bits` bits a weight before entropy coding; no speed-up.

    Args:
        bits: 1 to 8.

    Returns:
        Compression whose nodes are `Codebook`, with the values of the grid as table.

    Raises:
        ValueError: If `bits` is out of range.

    Example:
        >>> method = dorefa(2)
        >>> params = {"kernel": jnp.array([[9.0, 0.1, -9.0]])}
        >>> print(method.view(params, method.init(params))["kernel"].round(3))
        [[ 1.     0.333 -1.   ]]

    Source: Zhou et al., arXiv:1606.06160 (zhou2016).
    """
    bits = as_int("dorefa", "bits", bits)
    if not 1 <= bits <= 8:
        raise ValueError(f"dorefa: bits={bits} must be from 1 to 8")
    steps = 2**bits - 1

    def bounded(x: jax.Array) -> jax.Array:
        turned = jnp.tanh(x.astype(jnp.float32))
        largest = jnp.max(jnp.abs(turned), initial=0.0)
        return turned / jnp.where(largest > 0, largest, 1.0)

    def node(x: jax.Array) -> Codebook:
        wide = x.astype(jnp.float32)
        if bits == 1:
            mean = jnp.mean(jnp.abs(wide)) if wide.size else jnp.zeros(())
            return Codebook(jnp.stack([-mean, mean]).astype(x.dtype), (wide >= 0).astype(jnp.uint8))
        table = np.linspace(-1, 1, steps + 1).astype(np.float32)
        codes = jnp.round((bounded(x) + 1) * np.float32(steps / 2))
        return Codebook(jnp.asarray(table).astype(x.dtype), codes.astype(jnp.uint8))

    def view(flat: Arrays, state: Any) -> Arrays:
        smooth = (lambda x: x) if bits == 1 else (lambda x: bounded(x).astype(x.dtype))
        return {path: straight_through(smooth(x), node(x).materialize()) for path, x in flat.items()}

    return on_values(
        f"dorefa(bits={bits})",
        init=lambda flat: (),
        view=view,
        encode=lambda flat, state: {path: node(x) for path, x in flat.items()},
    )
