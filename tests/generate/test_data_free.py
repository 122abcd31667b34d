"""Losses of a generator against a fixed teacher."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate


def test_losses_are_those_of_the_paper():
    logits, features = jax.random.normal(jax.random.key(0), (6, 4)), jax.random.normal(jax.random.key(1), (6, 3, 2))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = generate.data_free_losses(logits, features)
    np.testing.assert_allclose(found.confidence, -np.log(p.max(-1)).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.activation, -np.abs(features).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.balance, (p.mean(0) * np.log(p.mean(0))).sum(), rtol=1e-5)


def test_the_least_losses_are_those_of_certain_and_even_predictions():
    even = generate.data_free_losses(1e4 * jnp.eye(4, dtype=jnp.bfloat16), jnp.zeros((4, 2)))
    assert float(even.confidence) == 0.0
    assert float(even.balance) == pytest.approx(-np.log(4))
    one = generate.data_free_losses(jnp.full((4, 4), -1e4).at[:, 0].set(1e4), jnp.zeros((4, 2)))
    assert float(one.balance) == 0.0
    slopes = jax.grad(lambda z: generate.data_free_losses(z, z).balance)(1e4 * jnp.eye(4))
    assert np.isfinite(slopes).all()


def test_other_batches_are_refused():
    with pytest.raises(ValueError, match=r"features \(3, 2\)"):
        generate.data_free_losses(jnp.ones((2, 4)), jnp.ones((3, 2)))
