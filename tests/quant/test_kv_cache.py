"""Attention over an int8 cache against float64 attention, within the bound of rounding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant

BATCH, HEADS, GROUP, CAPACITY, DIM = 2, 3, 2, 16, 8


@functools.cache
def tokens() -> tuple[np.ndarray, ...]:
    """Queries, keys and values of twelve tokens; those of token 5 are 20 times larger."""
    draw = np.random.default_rng(0)
    q, k, v = (draw.normal(size=(BATCH, 12, h, DIM)).astype(np.float32) for h in (HEADS * GROUP, HEADS, HEADS))
    k[:, 5] *= 20
    v[:, 5] *= 20
    return q, k, v


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Causal attention of all tokens in float64, and the bound of rounding q, k, p v and v to int8, entry by entry."""
    q, k, v = (np.swapaxes(x.astype(np.float64), 1, 2) for x in (q, k, v))
    k, v = (np.repeat(x, GROUP, axis=1) for x in (k, v))
    half = [np.abs(x).max(-1, keepdims=True) / 254 + np.zeros_like(x) for x in (q, k, v)]
    seen = np.tril(np.ones((q.shape[2],) * 2, bool))
    scores = np.where(seen, q @ np.swapaxes(k, 2, 3), -np.inf) / DIM**0.5
    shift = half[0] @ np.swapaxes(np.abs(k) + half[1], 2, 3) + np.abs(q) @ np.swapaxes(half[1], 2, 3)
    shift = np.where(seen, shift, 0).max(-1, keepdims=True) / DIM**0.5
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    grown = np.exp(2 * shift)  # softmax of scores that move by at most `shift`
    steps = np.abs(v).max(-1) / 127
    rounding = (grown * weights * steps[:, :, None]).max(-1, keepdims=True) / 254
    codes = np.where(seen, 127.0, 0.0) @ np.ones_like(v)
    bound = (grown - 1) * (weights @ np.abs(v)) + grown * (weights @ half[2]) + rounding * codes
    return np.swapaxes(weights @ v, 1, 2), np.swapaxes(bound, 1, 2)


def test_decoding_is_attention_up_to_rounding() -> None:
    """A prefill of four tokens, then one token a step: one trace, every entry within its bound."""
    q, k, v = tokens()
    asked, bound = attention(q, k, v)
    traces = []

    @jax.jit
    def step(cache: quant.KVCache, q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, quant.KVCache]:
        traces.append(q.shape[1])
        cache = quant.append(cache, k, v)
        return quant.attend(q, cache), cache

    out, cache = step(quant.init_cache(BATCH, HEADS, CAPACITY, DIM), *(x[:, :4] for x in (q, k, v)))
    parts = [out]
    for i in range(4, 12):
        out, cache = step(cache, *(x[:, i : i + 1] for x in (q, k, v)))
        parts.append(out)
    got = np.concatenate(parts, axis=1)
    assert traces == [4, 1]
    assert int(cache.length) == 12
    assert (np.abs(got - asked) <= bound + 1e-5).all()
    assert np.abs(got[:, :5] - asked[:, :5]).max() < 0.05 < np.abs(asked).max()
    for codes, scales, x in ((cache.keys, cache.key_scales, k), (cache.values, cache.value_scales, v)):
        back = np.swapaxes(np.asarray(codes, np.float64) * np.asarray(scales)[..., None], 1, 2)[:, :12]
        assert (np.abs(back - x) <= np.abs(x).max(-1, keepdims=True) / 254 * (1 + 1e-5)).all()
    assert sum(x.nbytes for x in cache[:4]) == 2 * BATCH * HEADS * CAPACITY * (DIM + 4)


def test_both_products_are_of_integers() -> None:
    cache = quant.init_cache(BATCH, HEADS, CAPACITY, DIM)
    jaxpr = jax.make_jaxpr(quant.attend)(jnp.ones((BATCH, 1, HEADS, DIM)), cache)
    products = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == "dot_general"]
    assert [str(x.aval.dtype) for eqn in products for x in (*eqn.invars, *eqn.outvars)] == 2 * ["int8", "int8", "int32"]


@pytest.mark.thorough
def test_what_does_not_fit_is_not_silent() -> None:
    q, k, v = (jnp.asarray(x) for x in tokens())
    small = quant.append(quant.init_cache(BATCH, HEADS, 12, DIM), k, v)
    assert jnp.isfinite(quant.attend(q, small)).all()
    assert jnp.isnan(quant.attend(q[:, :1], quant.append(small, k[:, :1], v[:, :1]))).all()
    cache = quant.append(quant.init_cache(BATCH, HEADS, CAPACITY, DIM), k.at[:, 3].set(jnp.nan), v)
    seen = jnp.isfinite(quant.attend(q, cache)).all((0, 2, 3))
    assert seen.tolist() == [True] * 3 + [False] * 9
    for make, message in (
        (lambda: quant.init_cache(1, 0, 4, 4), "heads=0; pass a positive number"),
        (lambda: quant.init_cache(1, 1, 200_000, 4), "capacity=200000 could overflow int32"),
        (
            lambda: quant.append(small, k, v[:, :, :1]),
            r"values of shape .* do not fit the cache; pass \[2, new, 3, 8\]",
        ),
        (lambda: quant.append(small, jnp.ones((BATCH, 13, HEADS, DIM)), v), "at most 12 new tokens"),
        (lambda: quant.attend(q[:, :, :4], small), "multiple of 3 heads"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
