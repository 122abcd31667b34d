"""Unbiased messages by stochastic rounding: levels of a norm, and powers of two."""

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers
from compressjax.gradients._compressor import Codec, Compressor, gathered
from compressjax.gradients._signs import pack, unpack


def qsgd(levels: int = 7, block: int = 512) -> Compressor:
    """Returns a compressor that rounds the magnitudes of a block at random to levels of its norm.

    .. math:: Q(x)_i = \\|x\\| \\operatorname{sign}(x_i)\\, \\frac{\\xi_i}{s}, \\quad
        \\mathbb E\\, \\xi_i = \\frac{s\\,|x_i|}{\\|x\\|}, \\qquad
        \\mathbb E \\|Q(x) - x\\|^2 \\le \\min\\Big(\\frac{n}{s^2}, \\frac{\\sqrt n}{s}\\Big) \\|x\\|^2

    Codes have a fixed length, 4 bits up to 7 levels and else 8: collectives cannot send Elias codes.

    Args:
        levels: Levels `s`, from 1 to 127.
        block: Entries `n` that share a norm, at least 2.

    Returns:
        An unbiased compressor without feedback: `d/2` or `d` bytes and 4 a block, to every other worker.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> qsgd(levels=15).feedback
        'none'

    Source: Alistarh et al., arXiv:1610.02132 (alistarh2017).
    """
    levels, block = integers("qsgd", levels=levels, block=block)
    if not 1 <= levels <= 127 or block < 2:
        raise ValueError(f"qsgd: levels={levels} must be from 1 to 127, and block={block} at least 2")
    short = levels <= 7

    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        length = min(block + block % 2, x.size + x.size % 2)  # even, because two short codes share a byte
        rows = jnp.pad(x, (0, -x.size % length)).reshape(-1, length)
        norms = jnp.linalg.norm(rows, axis=1)
        places = levels * jnp.abs(rows) / jnp.where(norms > 0, norms, 1.0)[:, None]
        low = jnp.floor(places)
        up = jax.random.uniform(key, rows.shape) < places - low
        codes = (jnp.sign(rows) * (low + up)).astype(jnp.int8)
        if short:
            two = jax.lax.bitcast_convert_type(codes, jnp.uint8).reshape(len(rows), -1, 2) & 15
            return two[..., 0] | two[..., 1] << 4, norms
        return codes, norms

    def decode(parts: tuple[jax.Array, jax.Array], size: int) -> jax.Array:
        codes, norms = parts
        if short:
            two = jnp.stack([codes & 15, codes >> 4], -1).astype(jnp.int8)
            codes = jnp.where(two > 7, two - 16, two).reshape(len(norms), -1)
        return (codes.astype(jnp.float32) / levels * norms[:, None]).reshape(-1)[:size]

    return gathered("qsgd", Codec(encode, decode), "none")


def natural() -> Compressor:
    """Returns a compressor that rounds magnitudes at random to a neighboring power of two.

    .. math:: C(x) = \\operatorname{sign}(x)\\, 2^{e + b}, \\quad e = \\lfloor \\log_2 |x| \\rfloor, \\quad
        P(b = 1) = |x| / 2^e - 1, \\qquad \\mathbb E \\|C(x) - x\\|^2 \\le \\tfrac18 \\|x\\|^2

    The message is the exponents of float32 and the signs. Numbers below 1.2e-38 become 0.

    Returns:
        An unbiased compressor without feedback: `9d/8` bytes to every other worker.

    Example:
        >>> natural().feedback
        'none'

    Source: Horvath et al., arXiv:1905.10988 (horvath2022).
    """

    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        bits = jax.lax.bitcast_convert_type(jnp.abs(x), jnp.uint32)
        exponents, rest = bits >> 23, (bits & 0x7FFFFF).astype(jnp.float32) / 2.0**23
        up = (jax.random.uniform(key, x.shape) < rest) & (exponents > 0)
        return jnp.minimum(exponents + up, 255).astype(jnp.uint8), pack(x)

    def decode(parts: tuple[jax.Array, jax.Array], size: int) -> jax.Array:
        powers = jax.lax.bitcast_convert_type(parts[0].astype(jnp.uint32) << 23, jnp.float32)
        return powers * unpack(parts[1], size)

    return gathered("natural", Codec(encode, decode), "none")
