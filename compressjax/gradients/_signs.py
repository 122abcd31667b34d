"""Messages of one bit an entry: scaled signs, and signs that vote."""

import jax
import jax.numpy as jnp

from compressjax.gradients._compressor import ROUTES, Codec, Compressor, Draw, stateless
from compressjax.gradients._link import Link, as_floats


def scaled_sign(route: str = "two-phase") -> Compressor:
    """Returns a compressor that sends signs, one bit each, and one scale a message.

    .. math:: C(x) = \\frac{\\|x\\|_1}{d} \\operatorname{sign}(x), \\qquad
        \\|x - C(x)\\|^2 = \\Big(1 - \\frac{\\|x\\|_1^2}{d\\,\\|x\\|_2^2}\\Big) \\|x\\|^2

    Args:
        route: `"two-phase"`: every worker averages a part and sends it as signs again, so that bytes do not grow with
            the workers; or `"gather"`: all receive the signs of all.

    Returns:
        A compressor with error feedback: about `d/8` bytes, twice or to every other worker.

    Raises:
        ValueError: If the route is unknown.

    Example:
        >>> scaled_sign().feedback
        'error'

    Source: Karimireddy et al., arXiv:1901.09847 (karimireddy2019).
    """
    if route not in ROUTES:
        raise ValueError(f"scaled_sign: route={route!r} is unknown; choose one of {', '.join(ROUTES)}")
    return ROUTES[route]("scaled_sign", SIGNS, "error")


def majority_sign() -> Compressor:
    """Returns the compressor of signSGD: workers send signs, and the majority decides; a tie gives 0.

    .. math:: u = \\operatorname{sign}\\Big(\\sum_w \\operatorname{sign}(g_w)\\Big)

    Zeros vote for plus. Averages are signs, so choose a learning rate as for signs. A NaN votes for plus too: check the
    loss.

    Returns:
        A compressor without feedback: `d/8` bytes to every other worker.

    Example:
        >>> majority_sign().feedback
        'none'

    Source: Bernstein et al., arXiv:1802.04434 (bernstein2018).
    """

    def exchange(x: jax.Array, state: tuple[()], draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, tuple[()]]:
        del draw
        bits = pack(as_floats(x))
        votes = jax.vmap(lambda one: unpack(one, x.size))(link.gather(bits)).sum(0)
        return unpack(bits, x.size).reshape(x.shape), jnp.sign(votes).reshape(x.shape), state

    return Compressor("majority_sign", stateless, exchange, "none")


def pack(x: jax.Array) -> jax.Array:
    """Signs of a flat array, eight a byte; a set bit is minus."""
    return jnp.packbits(x < 0)


def unpack(bits: jax.Array, size: int) -> jax.Array:
    """The signs as 1 and -1 in float32."""
    return 1.0 - 2.0 * jnp.unpackbits(bits, count=size).astype(jnp.float32)


def _encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    del key
    return pack(x), jnp.mean(jnp.abs(x))


SIGNS = Codec(_encode, lambda parts, size: parts[1] * unpack(parts[0], size))
