"""Integers whose sum a server can take without seeing a single one of them."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number


class IntegerSum(NamedTuple):
    """Messages of integers on a grid that all clients share.

    Attributes:
        bits: Bits of one client's integer, sign included.
        clip: Largest magnitude of a change; None takes the largest one of all clients, leaf by leaf.
    """

    bits: int
    clip: float | None

    @property
    def levels(self) -> int:
        """The largest integer of a client."""
        return 2 ** (self.bits - 1) - 1

    def width(self, clients: int) -> int:
        """Bits that hold the sum of some clients: messages are sums modulo two to this power."""
        return math.ceil(math.log2(2 * clients * self.levels + 1))


def integer_sum(bits: int = 8, clip: float | None = None) -> IntegerSum:
    """Returns messages of integers, which the server adds up without decoding any of them.

    .. math:: q_i = \\Big\\lfloor \\frac{L}{c} x_i + u \\Big\\rfloor, \\quad u \\sim U[0, 1), \\qquad
        \\frac1m \\sum_i x_i \\approx \\frac{c}{m L} \\sum_i q_i

    Rounding is unbiased. One sum of integers is exact: it does not depend on order, devices, or masks that cancel
    (`pairwise_masks`). Without `clip`, every client shows its largest magnitude of every leaf, which makes `c`.

    Args:
        bits: Bits of an integer with its sign, from 2 to 16; `L` is `2^(bits - 1) - 1`.
        clip: The bound `c` above 0 of all entries, which are clipped to it; None as above.

    Returns:
        A way to send, for `federation(up=)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> integer_sum(8).levels, integer_sum(8).width(clients=10)
        (127, 12)

    Source: Bonawitz et al., arXiv:1611.04482 (bonawitz2016).
    """
    bits = as_int("integer_sum", "bits", bits)
    clip = None if clip is None else as_number("integer_sum", "clip", clip)
    if not 2 <= bits <= 16 or (clip is not None and not clip > 0):
        raise ValueError(f"integer_sum: bits={bits} must be from 2 to 16, and clip={clip} above 0 or None")
    return IntegerSum(bits, clip)


def to_integers(kind: IntegerSum, x: jax.Array, top: Any, key: jax.Array) -> jax.Array:
    """Integers of one client, in int32."""
    places = jnp.clip(x * (kind.levels / top), -kind.levels, kind.levels)
    return jnp.floor(places + jax.random.uniform(key, x.shape)).astype(jnp.int32)


def pairwise_masks(key: jax.Array, clients: int, shape: tuple[int, ...], width: int = 32) -> jax.Array:
    """Returns masks of all clients that cancel in the sum, modulo a power of two.

    .. math:: \\mu_i = \\sum_{j > i} r_{ij} - \\sum_{j < i} r_{ji} \\pmod{2^w}, \\qquad \\sum_i \\mu_i = 0

    In a deployment every pair of clients agrees on the key of its `r`; here one key stands for all of them. A client
    sends `(q + mask) mod 2^w`, which says nothing alone. Clients that drop out need the shares of the paper.

    Args:
        key: PRNG key.
        clients: Number of clients, at least 2.
        shape: Shape of a message.
        width: Bits `w` of the modulus, from 1 to 32; `IntegerSum.width` gives the least.

    Returns:
        `[clients, *shape]` in uint32, below `2^w`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> masks = pairwise_masks(jax.random.key(0), 3, (2,), width=12)
        >>> (masks.sum(0) % 2**12).tolist()
        [0, 0]

    Source: Bonawitz et al., arXiv:1611.04482 (bonawitz2016).
    """
    clients, width = as_int("pairwise_masks", "clients", clients), as_int("pairwise_masks", "width", width)
    if clients < 2 or not 1 <= width <= 32:
        raise ValueError(f"pairwise_masks: clients={clients} must be at least 2, and width={width} from 1 to 32")
    low, high = jnp.triu_indices(clients, 1)
    draws = jax.vmap(lambda k: jax.random.bits(k, shape, jnp.uint32))(jax.random.split(key, len(low)))
    masks = jnp.zeros((clients, *shape), jnp.uint32).at[low].add(draws).at[high].add(-draws)
    return masks & jnp.uint32(2**width - 1)
