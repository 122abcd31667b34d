"""Optimizer steps of learned scores and gates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax.core._learn import at_step, learn


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_bad_gradient_moves_nothing_at_all(bad):
    learned = {"a": jnp.ones(2), "b": jnp.ones(2)}
    optimizer = optax.adam(0.1)
    inner = optimizer.init(learned)
    moved, inner = learn(optimizer, {"a": jnp.ones(2), "b": jnp.ones(2)}, inner, learned)
    np.testing.assert_allclose(moved["a"], 0.9, rtol=1e-6)
    again, after = jax.jit(lambda g: learn(optimizer, g, inner, moved))({"a": jnp.ones(2), "b": jnp.array([0, bad])})
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves((again, after)), jax.tree.leaves((moved, inner))))


def test_settings_may_depend_on_the_step():
    schedule = optax.linear_schedule(0.0, 1.0, 10)
    assert at_step(schedule, jnp.int32(5)).item() == 0.5
    assert at_step(2, jnp.int32(5)).dtype == jnp.float32
