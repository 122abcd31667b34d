"""The schedule against its closed form, and against optax's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax.prune import polynomial_schedule


def test_cubic_values_by_hand():
    got = polynomial_schedule(jnp.array([99, 100, 150, 200, 999]), 0.9, begin=100, end=200, initial=0.5)
    np.testing.assert_allclose(got, [0.0, 0.5, 0.9 - 0.4 / 8, 0.9, 0.9], rtol=1e-6)


@pytest.mark.parametrize("power", [1, 3])
def test_equals_optax(power):
    steps = jnp.arange(10, 70)
    theirs = optax.polynomial_schedule(0.2, 0.8, power, transition_steps=40, transition_begin=10)
    got = polynomial_schedule(steps, 0.8, begin=10, end=50, initial=0.2, power=power)
    np.testing.assert_allclose(got, jax.vmap(theirs)(steps), atol=1e-6)


def test_a_schedule_without_length_jumps():
    assert polynomial_schedule(jnp.array([4, 5]), 0.5, begin=5, end=5).tolist() == [0.0, 0.5]


def test_bad_settings():
    with pytest.raises(ValueError, match="before it begins at 5"):
        polynomial_schedule(0, 0.5, begin=5, end=4)
    with pytest.raises(ValueError, match="power=0"):
        polynomial_schedule(0, 0.5, end=4, power=0)
