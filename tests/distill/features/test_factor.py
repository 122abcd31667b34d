"""Factors against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.1 * x)


@pytest.mark.thorough
def test_values(key: jax.Array) -> None:
    a, b, c = jax.random.split(key, 3)
    student, teacher = jax.random.normal(a, (2, 3, 4)), jax.random.normal(b, (2, 3, 6))
    params = distill.init_factor(c, 4, 6, factors=2)
    kernels = {k: np.asarray(v["kernel"], np.float64) for k, v in params.items()}
    s, t = np.asarray(student, np.float64), np.asarray(teacher, np.float64)
    of_student, of_teacher = (leaky(x).reshape(2, -1) for x in (s @ kernels["translator"], t @ kernels["encoder"]))
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (of_student, of_teacher))
    np.testing.assert_allclose(distill.factor_loss(student, teacher, params), np.abs(x - y).mean(), rtol=1e-4)
    back = leaky(t @ kernels["encoder"]) @ kernels["decoder"]
    np.testing.assert_allclose(distill.paraphraser_loss(teacher, params), np.mean((back - t) ** 2), rtol=1e-4)
    slopes = jax.jit(jax.grad(lambda p: distill.factor_loss(student, teacher, p)))(params)
    assert not any(np.any(g) for part in ("encoder", "decoder") for g in slopes[part].values())
    assert np.any(slopes["translator"]["kernel"])


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="factors=0"):
        distill.init_factor(key, 4, 6, factors=0)
    with pytest.raises(ValueError, match="the same positions"):
        distill.factor_loss(jnp.ones((2, 3, 4)), jnp.ones((2, 2, 6)), distill.init_factor(key, 4, 6, factors=2))
