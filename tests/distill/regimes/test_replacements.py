"""Replaced modules against the composition written out, with gradients for what ran alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_rate(key: jax.Array) -> None:
    draws = distill.replacements(key, 10_000, 0.3)
    assert draws.dtype == bool
    assert float(draws.mean()) == pytest.approx(0.3, abs=0.015)
    assert not distill.replacements(key, 5, 0.0).any()
    np.testing.assert_array_equal(jax.jit(lambda r: distill.replacements(key, 10_000, r))(0.3), draws)


def test_every_choice_is_the_composition_of_its_modules() -> None:
    teacher = [lambda x: 2 * x, lambda x: x + 3, jnp.sin]
    x = jnp.array([0.5, -1.0])

    @jax.jit
    def both(replaced: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
        def run(scale: jax.Array) -> jax.Array:
            student = [lambda x, i=i: scale[i] * x for i in range(3)]
            return distill.run_replaced(replaced, teacher, student, x)

        return run(scale), jax.jacobian(run)(scale)

    scale = jnp.array([0.7, -1.5, 4.0])
    for choice in itertools.product([False, True], repeat=3):
        want = x
        for i, chosen in enumerate(choice):
            want = scale[i] * want if chosen else teacher[i](want)
        got, slope = both(jnp.array(choice), scale)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        np.testing.assert_array_equal(np.any(slope, axis=0), choice)


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="numbers must agree"):
        distill.run_replaced(jnp.array([True]), [jnp.sin], [jnp.sin, jnp.cos], jnp.ones(1))
    with pytest.raises(ValueError, match="count=0"):
        distill.replacements(key, 0, 0.5)
    with pytest.raises(ValueError, match=r"rate=1\.5"):
        distill.replacements(key, 1, 1.5)
