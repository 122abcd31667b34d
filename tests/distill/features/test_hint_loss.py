"""Hints against NumPy; the regressor learns a linear teacher exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_value(key: jax.Array) -> None:
    a, b, c = jax.random.split(key, 3)
    student, teacher, head = (
        jax.random.normal(a, (2, 3, 4)), jax.random.normal(b, (2, 3, 5)), distill.init_hint(c, 4, 5),
    )  # fmt: skip
    error = np.asarray(student, np.float64) @ np.asarray(head["kernel"]) - np.asarray(teacher)
    np.testing.assert_allclose(distill.hint_loss(student, teacher, head), np.mean(error**2), rtol=1e-5)
    positions = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    want = (np.mean(error[0, 0] ** 2) + 3 * np.mean(error[1, 2] ** 2)) / 4
    np.testing.assert_allclose(distill.hint_loss(student, teacher, head, weights=positions), want, rtol=1e-5)


def test_the_least_squares_regressor_has_no_gradient(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (9, n)) for k, n in zip(jax.random.split(key), (3, 2)))
    best = np.linalg.lstsq(np.c_[student, np.ones(9)], np.asarray(teacher), rcond=None)[0]
    head = {"kernel": jnp.asarray(best[:3]), "bias": jnp.asarray(best[3])}
    slopes = jax.grad(lambda p: distill.hint_loss(student, teacher, p))(head)
    assert all(np.abs(g).max() < 1e-5 for g in slopes.values())


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        distill.hint_loss(jnp.ones((2, 3)), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="hint_loss: features"):
        distill.hint_loss(jnp.ones((2, 3)), jnp.ones((2, 4)), distill.init_hint(key, 2, 4))
