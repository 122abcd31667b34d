"""Messages of a few entries of a gradient: the largest, random ones, or all above a threshold."""

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number
from compressjax.gradients._compressor import Codec, Compressor, Draw, count_of, gathered, share_of, stateless
from compressjax.gradients._link import Link, as_floats


def top_k(share: float) -> Compressor:
    """Returns a compressor that sends the entries of largest magnitude with their places.

    .. math:: C(x)_i = x_i \\text{ if } |x_i| \\text{ is among the } k \\text{ largest, else } 0, \\qquad
        \\|x - C(x)\\|^2 \\le (1 - k/d)\\,\\|x\\|^2

    Args:
        share: Part `k/d` of the entries of every leaf, in (0, 1]; at least one entry is sent.

    Returns:
        A compressor with error feedback: `8k` bytes to every other worker.

    Raises:
        ValueError: If `share` is out of range.

    Example:
        >>> top_k(0.01).name
        'top_k'

    Source: Stich et al., arXiv:1809.07599 (stich2018).
    """
    return gathered("top_k", _largest(share_of("top_k", share), 0.0), "error")


def threshold(least: float, share: float) -> Compressor:
    """Returns a compressor that sends all entries of at least some magnitude, as far as the message has room.

    .. math:: C(x)_i = x_i \\text{ if } |x_i| \\ge \\tau \\text{ and among the } k \\text{ largest, else } 0

    XLA needs messages of a fixed length, so `share` sets it. What finds no room stays in the memory.

    Args:
        least: Threshold `tau`, at least 0.
        share: Part `k/d` of the entries that the message has room for, in (0, 1].

    Returns:
        A compressor with error feedback: `8k` bytes to every other worker.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> threshold(1e-3, share=0.05).name
        'threshold'

    Source: Dryden et al., and Aji and Heafield, arXiv:1704.05021 (aji2017).
    """
    least = as_number("threshold", "least", least)
    if not least >= 0:
        raise ValueError(f"threshold: least={least} must be at least 0, a magnitude of gradients such as 1e-3")
    return gathered("threshold", _largest(share_of("threshold", share), least), "error")


def random_k(share: float, *, unbiased: bool = False) -> Compressor:
    """Returns a compressor that sends random entries, the same ones of all workers, so no places travel.

    .. math:: C(x)_i = s\\,x_i \\text{ for } i \\in S, \\text{ else } 0, \\qquad s = 1 \\text{ or } d/k

    With `s = 1` it is a contraction in expectation, `E|x - C(x)|^2 = (1 - k/d)|x|^2`. With `s = d/k` it is unbiased,
    `E|C(x) - x|^2 = (d/k - 1)|x|^2`, and needs no feedback.

    Args:
        share: Part `k/d` of the entries of every leaf, in (0, 1]; at least one entry is sent.
        unbiased: Scales what is sent.

    Returns:
        A compressor with error feedback, or with none if unbiased: an all-reduce of `4k` bytes.

    Raises:
        ValueError: If `share` is out of range.

    Example:
        >>> random_k(0.01, unbiased=True).feedback
        'none'

    Source: Stich et al., arXiv:1809.07599 (stich2018).
    """
    share = share_of("random_k", share)

    def exchange(x: jax.Array, state: tuple[()], draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, tuple[()]]:
        flat = as_floats(x)
        count = count_of(share, flat.size)
        places = jax.random.permutation(draw.key, flat.size)[:count]
        sent = flat[places] * (flat.size / count if unbiased else 1.0)
        own, mean = (jnp.zeros_like(flat).at[places].set(y).reshape(x.shape) for y in (sent, link.mean(sent)))
        return own, mean, state

    return Compressor("random_k", stateless, exchange, "none" if unbiased else "error")


def _largest(share: float, least: float) -> Codec:
    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del key
        _, places = jax.lax.top_k(jnp.abs(x), count_of(share, x.size))
        found = x[places]
        return jnp.where(jnp.abs(found) < least, 0.0, found), places.astype(jnp.int32)

    def decode(parts: tuple[jax.Array, jax.Array], size: int) -> jax.Array:
        return jnp.zeros(size, jnp.float32).at[parts[1]].set(parts[0])

    return Codec(encode, decode)
