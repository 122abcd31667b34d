"""Attention of one new token over an int8 cache of keys and values, against a float32 cache."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from compressjax import measure, quant
from experiments.bench.harness import OURS, Case
from experiments.bench.int8 import thunk


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One decoding step by number of tokens in the cache.

    Args:
        config: `seed`, `batch`, `heads`, `groups` (heads of queries for one of keys), `dim`, `tokens`.

    Yields:
        Cases with float32 attention as the baseline, relative error and bytes as facts.
    """
    draw = np.random.default_rng(config.seed)
    for group in config.groups:
        for length in config.tokens:
            shape = (config.batch, length, config.heads, config.dim)
            keys, values = (jnp.asarray(draw.normal(size=shape), jnp.float32) for _ in range(2))
            rows = (config.batch, 1, config.heads * group, config.dim)
            queries = jnp.asarray(draw.normal(size=rows), jnp.float32)
            cache = quant.init_cache(config.batch, config.heads, length, config.dim)
            cache = jax.jit(quant.append)(cache, keys, values)
            dense = tuple(jnp.swapaxes(x, 1, 2) for x in (keys, values))
            thunks = {
                "jax float32": thunk(jax.jit(attend), queries, *dense),
                OURS: thunk(jax.jit(quant.attend), queries, cache),
            }
            exact = thunks["jax float32"]()
            facts = {
                "error": float(jnp.linalg.norm(thunks[OURS]() - exact) / jnp.linalg.norm(exact)),
                "bytes": f"{sum(measure.memory_bytes(cache).values()) - 4} of {keys.nbytes + values.nbytes}",
            }
            yield Case(f"{length} tokens, {config.heads} heads of {group} queries", thunks, facts)


def attend(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Attention of the last token in float32.

    Args:
        queries: `[batch, 1, query heads, dim]`.
        keys: `[batch, heads, tokens, dim]`, the order of axes that is fastest here.
        values: like `keys`.

    Returns:
        `[batch, 1, query heads, dim]`.
    """
    batch, heads, _, dim = keys.shape
    rows = queries.reshape(batch, heads, -1, dim)
    weights = jax.nn.softmax(jnp.einsum("bhgd,bhtd->bhgt", rows, keys) / dim**0.5)
    return jnp.einsum("bhgt,bhtd->bhgd", weights, values).reshape(queries.shape)
