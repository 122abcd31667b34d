"""Random numbers of methods: states hold keys as arrays, and every leaf has its own stream."""

import zlib

import jax
import jax.numpy as jnp

_IMPL = "threefry2x32"


def key_data(key: jax.Array) -> jax.Array:
    """The array that a state holds for a key: two words that files and devices can hold.

    They seed the same generator whatever the default of JAX is, so a state means the same in every process. Keys of
    other generators are reduced to two words.
    """
    if not isinstance(key, jax.Array):
        raise ValueError(f"key={key!r} is not a PRNG key; pass jax.random.key(seed)")
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"key has shape {key.shape}; pass a single key, jax.random.key(seed)")
    if not typed and (key.dtype != jnp.uint32 or key.shape not in ((2,), (4,))):
        raise ValueError(f"key={key.dtype}{list(key.shape)} is not a PRNG key; pass jax.random.key(seed)")
    wrapped = key if typed else jax.random.wrap_key_data(key, impl=_IMPL if key.shape == (2,) else "rbg")
    if str(jax.random.key_impl(wrapped)) == _IMPL:
        return jax.random.key_data(wrapped)
    return jax.random.bits(wrapped, (2,), jnp.uint32)


def stream(data: jax.Array, path: str, step: jax.Array | int = 0) -> jax.Array:
    """The key of one leaf at one step; it depends on the leaf's path, not on which other leaves exist."""
    # A checksum of the path is enough: the number needs no secrecy.
    number = jnp.uint32(zlib.crc32(path.encode()))
    return jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(data, impl=_IMPL), number), step)
