"""All-reduce in short number formats."""

import jax
import jax.numpy as jnp

from compressjax.gradients._compressor import Codec, Compressor, two_phases

# Largest number of every format that needs a scale. Codes travel as integers, which no compiler widens.
_LARGEST = {"float8_e4m3fn": 448.0, "float8_e5m2": 57344.0, "int8": 127.0, "bfloat16": None}


def rounded(dtype: str = "bfloat16") -> Compressor:
    """Returns a compressor that averages in a short number format, and sums in float32.

    .. math:: C(x) = s \\operatorname{round}(x / s), \\qquad s = \\max_i |x_i| / m

    with `m` the largest number of the format; bfloat16 needs no scale. Every worker averages one part of the messages
    in float32 and sends it rounded to all, so that integers do not overflow and rounding does not add up.

    Args:
        dtype: `"bfloat16"`, `"float8_e4m3fn"`, `"float8_e5m2"` or `"int8"`.

    Returns:
        A compressor with error feedback: `2d` messages of 1 or 2 bytes, for any number of workers.

    Raises:
        ValueError: If the format is unknown.

    Example:
        >>> rounded("int8").name
        'rounded int8'

    Source: scaled float8: Micikevicius et al., arXiv:2209.05433 (micikevicius2022).
    """
    if dtype not in _LARGEST:
        raise ValueError(f"rounded: dtype={dtype!r} is unknown; choose one of {', '.join(_LARGEST)}")
    largest, kind = _LARGEST[dtype], jnp.dtype(dtype)
    integer = jnp.issubdtype(kind, jnp.integer)

    def encode(x: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        del key
        if largest is None:
            return (jax.lax.bitcast_convert_type(x.astype(kind), jnp.uint16),)
        top = jnp.max(jnp.abs(x))
        scale = jnp.where(top > 0, top / largest, 1.0)
        places = jnp.clip(x / scale, -largest, largest)
        codes = (jnp.round(places) if integer else places).astype(kind)
        return jax.lax.bitcast_convert_type(codes, jnp.uint8), scale

    def decode(parts: tuple[jax.Array, ...], size: int) -> jax.Array:
        del size
        found = jax.lax.bitcast_convert_type(parts[0], kind).astype(jnp.float32)
        return found if largest is None else found * parts[1]

    return two_phases(f"rounded {dtype}", Codec(encode, decode), "error")
