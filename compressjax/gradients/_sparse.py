"""Messages of a few entries of a gradient: the largest, random ones, or all above a threshold."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number
from compressjax.gradients._compressor import ROUTES, Codec, Compressor, Draw, count_of, gathered, share_of, stateless
from compressjax.gradients._link import Link, as_floats

_BLOCK = 2**16


def top_k(share: float, dtype: str = "float32", *, route: str = "gather") -> Compressor:
    """Returns a compressor that sends the entries of largest magnitude with their places.

    .. math:: C(x)_i = x_i \\text{ if } |x_i| \\text{ is among the } k \\text{ largest, else } 0, \\qquad
        \\|x - C(x)\\|^2 \\le (1 - k/d)\\,\\|x\\|^2

    Args:
        share: Part `k/d` of the entries of every leaf, in (0, 1]; at least one entry is sent.
        dtype: `"float32"`, or `"int8"` for values rounded to 127 levels of the largest one. Their places then take 2
            bytes each, or a bit for every entry where that is less.
        route: `"gather"`: all receive the messages of all; or `"two-phase"`: every worker averages a part of the
            entries and sends the largest ones of its average, so that bytes do not grow with the workers.

    Returns:
        A compressor with error feedback: `8k` bytes to every other worker, or twice; with int8 `k + min(2k, d/8)`.

    Raises:
        ValueError: If `share` is out of range, or a word is unknown.

    Example:
        >>> top_k(0.01).name
        'top_k'

    Source: Stich et al., arXiv:1809.07599 (stich2018).
    """
    if dtype not in ("float32", "int8") or route not in ROUTES:
        raise ValueError(f"top_k: {dtype=} must be 'float32' or 'int8', and {route=} one of {', '.join(ROUTES)}")
    codec = _largest(share_of("top_k", share), 0.0)
    return ROUTES[route]("top_k", codec if dtype == "float32" else _shortened(codec), "error")


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


def _shortened(codec: Codec) -> Codec:
    """The codec with values in int8, and places as 2 bytes each or a bit an entry, whichever is less."""

    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, Any, jax.Array]:
        found, places = codec.encode(x, key)
        top = jnp.max(jnp.abs(found))
        scale = jnp.where(top > 0, top / 127, 1.0)
        if _blocks(x.size) > 1 or _as_bits(len(places), x.size):  # forms that hold no order
            order = jnp.argsort(places)
            found, places = found[order], places[order]
        return jnp.round(found / scale).astype(jnp.int8), _written(places, x.size), scale

    def decode(parts: tuple[jax.Array, Any, jax.Array], size: int) -> jax.Array:
        found = parts[0].astype(jnp.float32) * parts[2]
        return codec.decode((found, _read(parts[1], len(found), size)), size)

    return Codec(encode, decode)


def _blocks(size: int) -> int:
    """Upper halves that places may have."""
    return -(-size // _BLOCK)


def _as_bits(count: int, size: int) -> bool:
    """Whether a bit for every entry takes less than 2 bytes for every place and a count for every upper half."""
    blocks = _blocks(size)
    return -(-size // 8) < 2 * count + 4 * blocks * (blocks > 1)


def _written(places: jax.Array, size: int) -> Any:
    """Places in few bytes: a bit for every entry; or lower halves, and how many sorted places have which upper half."""
    if _as_bits(len(places), size):
        return jnp.packbits(jnp.zeros(size, bool).at[places].set(True))
    blocks = _blocks(size)
    counts = (jnp.bincount(places // _BLOCK, length=blocks).astype(jnp.int32),) if blocks > 1 else ()
    return (places % _BLOCK).astype(jnp.uint16), *counts


def _read(written: Any, count: int, size: int) -> jax.Array:
    """The places of `_written`."""
    if not isinstance(written, tuple):
        return jnp.flatnonzero(jnp.unpackbits(written, count=size), size=count)
    places = written[0].astype(jnp.int32)
    if len(written) == 1:
        return places
    return places + _BLOCK * jnp.searchsorted(jnp.cumsum(written[1]), jnp.arange(count), side="right").astype(jnp.int32)


def _largest(share: float, least: float) -> Codec:
    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del key
        _, places = jax.lax.top_k(jnp.abs(x), count_of(share, x.size))
        found = x[places]
        return jnp.where(jnp.abs(found) < least, 0.0, found), places.astype(jnp.int32)

    def decode(parts: tuple[jax.Array, jax.Array], size: int) -> jax.Array:
        return jnp.zeros(size, jnp.float32).at[parts[1]].set(parts[0])

    return Codec(encode, decode)
