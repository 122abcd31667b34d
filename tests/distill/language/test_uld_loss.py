"""Sorted probabilities against NumPy and the Wasserstein distance of SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


def test_value(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (2, 3, n)) for k, n in zip(jax.random.split(key), (4, 6)))
    q, p = (
        np.sort(scipy.special.softmax(np.asarray(x, np.float64) / 2, -1), -1)[..., ::-1] for x in (student, teacher)
    )
    q = np.pad(q, [(0, 0), (0, 0), (0, 2)])
    got = distill.uld_loss(student, teacher, temperature=2.0)
    np.testing.assert_allclose(got, np.abs(p - q).sum(-1).mean(), rtol=1e-5)
    np.testing.assert_allclose(distill.uld_loss(student[..., ::-1], teacher, temperature=2.0), got, rtol=1e-5)
    with pytest.raises(ValueError, match="over the same positions; cut the longer"):
        distill.uld_loss(student, teacher[:, :2])


@pytest.mark.thorough
def test_gradient_is_that_of_finite_differences(key: jax.Array) -> None:
    student, teacher = (jax.random.normal(k, (n,)) for k, n in zip(jax.random.split(key), (3, 4)))
    slopes = jax.grad(distill.uld_loss)(student, teacher)
    for i, h in enumerate(1e-2 * jnp.eye(3)):
        moved = (distill.uld_loss(student + h, teacher) - distill.uld_loss(student - h, teacher)) / 2e-2
        assert float(moved) == pytest.approx(float(slopes[i]), abs=1e-3)
