"""The rate of training: the entropy by NumPy, its direction, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import share
from compressjax.theory import empirical_entropy

TABLE = np.array([-1.0, 0.0, 0.5, 2.0], np.float32)


def draw(seed=0):
    return np.random.default_rng(seed).normal(size=(30, 40)).astype(np.float32)


def test_the_value_is_the_entropy_and_the_gradient_shortens_codes():
    x = draw()
    codes = np.abs(x[..., None] - TABLE).argmin(-1)
    value, slope = jax.jit(jax.value_and_grad(share.code_bits))(jnp.asarray(x), jnp.asarray(TABLE))
    expected = empirical_entropy(codes) * codes.size + 3 / 2 * np.log2(codes.size)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    lengths = -np.log2(np.bincount(codes.ravel()) / codes.size)
    middle = (TABLE[1:] + TABLE[:-1]) / 2
    near = np.abs(x[..., None] - middle).argmin(-1)
    close = np.abs(x - middle[near]) < 0.05
    up = lengths[near + 1] - lengths[near]
    assert close.sum() > 20
    assert np.array_equal(np.sign(slope)[close], np.sign(up)[close])  # descent moves to the shorter code


def test_contexts_have_counts_of_their_own():
    x, contexts = draw(), np.repeat(np.arange(30) % 2, 40).reshape(30, 40)
    scaled = x * np.where(contexts, 0.1, 1.0)
    codes = np.abs(scaled[..., None] - TABLE).argmin(-1)
    learned = sum((np.unique(codes[contexts == g]).size - 1) / 2 * np.log2(600) for g in (0, 1))
    expected = sum(600 * empirical_entropy(codes[contexts == g]) for g in (0, 1)) + learned
    value = share.code_bits(jnp.asarray(scaled, jnp.float32), jnp.asarray(TABLE), contexts=jnp.asarray(contexts))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="at least two entries"):
        share.code_bits(jnp.zeros(3), jnp.zeros(1))
    with pytest.raises(ValueError, match="contexts have the shape"):
        share.code_bits(jnp.zeros(3), jnp.arange(2.0), contexts=jnp.zeros(2, jnp.uint8))
    with pytest.raises(ValueError, match="temperature=0"):
        share.code_bits(jnp.zeros(3), jnp.arange(2.0), temperature=0)
