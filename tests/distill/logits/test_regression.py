"""Regression against optax, scikit-learn and a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sklearn.metrics

from compressjax import distill


def test_square_and_huber(key: jax.Array) -> None:
    student, teacher = (2 * jax.random.normal(k, (5, 3)) for k in jax.random.split(key))
    want = sklearn.metrics.mean_squared_error(teacher, student)
    np.testing.assert_allclose(distill.regression_loss(student, teacher), want, rtol=1e-5)
    got = distill.regression_loss(student, teacher, delta=0.5)
    np.testing.assert_allclose(got, optax.losses.huber_loss(student, teacher, delta=0.5).mean(), rtol=1e-5)


@pytest.mark.parametrize("margin", [0.0, 2.0])
def test_who_beats_the_teacher_is_left_alone(key: jax.Array, margin: float) -> None:
    student, teacher, targets = (jax.random.normal(k, (8, 2)) for k in jax.random.split(key, 3))
    want, bounded = 0.0, 0
    for s, t, y in zip(*(np.asarray(x, np.float64) for x in (student, teacher, targets))):
        smooth = sum(e * e / 2 if abs(e) <= 1 else abs(e) - 0.5 for e in s - y)
        own, its = np.sum((s - y) ** 2), np.sum((t - y) ** 2)
        bounded += own + margin > its
        want += (smooth + 0.7 * (own if own + margin > its else 0)) / 8
    assert 0 < bounded < 8
    got = distill.bounded_regression_loss(student, teacher, targets, margin=margin, nu=0.7)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_bad_arguments() -> None:
    x = jnp.zeros((3, 2))
    with pytest.raises(ValueError, match="delta=0"):
        distill.regression_loss(x, x, delta=0)
    with pytest.raises(ValueError, match=r"targets \(3,\)"):
        distill.bounded_regression_loss(x, x, jnp.zeros(3))
    with pytest.raises(ValueError, match="margin=-1"):
        distill.bounded_regression_loss(x, x, x, margin=-1)
