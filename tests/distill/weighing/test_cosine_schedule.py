"""The cosine against optax, and inside of a loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import distill


def test_values() -> None:
    steps = np.arange(15)
    down = optax.cosine_decay_schedule(2.0, 10, alpha=0.25)
    np.testing.assert_allclose(distill.cosine_schedule(2.0, 0.5, 10)(steps), down(steps), rtol=1e-5)
    up = distill.cosine_schedule(0.5, 2.0, 10, transition_begin=3)
    np.testing.assert_allclose(up(steps[3:] + 0), 2.5 - np.asarray(down(steps[:-3])), rtol=1e-5)
    assert up(0) == up(3) == 0.5
    with pytest.raises(ValueError, match="transition_steps=0"):
        distill.cosine_schedule(1.0, 2.0, 0)


def test_losses_take_the_values_of_schedules_in_jit(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (3, 4)) for k in jax.random.split(key))
    alpha, heat = optax.linear_schedule(0.9, 0.5, 4), distill.cosine_schedule(1.0, 4.0, 4)
    labels = jnp.array([0, 1, 2])

    @jax.jit
    def loss(step: jax.Array) -> jax.Array:
        return distill.soft_target_loss(student, teacher, labels, alpha=alpha(step), temperature=heat(step))

    want = distill.soft_target_loss(student, teacher, labels, alpha=0.7, temperature=2.5)
    assert float(loss(2)) == pytest.approx(float(want), rel=1e-5)
    assert loss._cache_size() == 1
