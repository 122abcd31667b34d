"""Attention transfer against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


@pytest.mark.turns(3)
@pytest.mark.parametrize("power", [1, 2.0, 4])
def test_value(key: jax.Array, power: float) -> None:
    student, teacher = (jax.random.normal(k, (3, 2, 2, n)) for k, n in zip(jax.random.split(key), (3, 5)))
    maps = [(np.abs(np.asarray(x, np.float64)) ** power).sum(-1).reshape(3, -1) for x in (student, teacher)]
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in maps)
    got = distill.attention_transfer_loss(student, teacher, power=power)
    np.testing.assert_allclose(got, np.mean((a - b) ** 2), rtol=1e-4)
    scaled = distill.attention_transfer_loss(7 * student, teacher, power=power)
    np.testing.assert_allclose(scaled, got, rtol=1e-5)


def test_bad_arguments() -> None:
    x = jnp.ones((2, 4, 4, 3))
    with pytest.raises(ValueError, match="the same positions; resize"):
        distill.attention_transfer_loss(x, x[:, ::2])
    with pytest.raises(ValueError, match="power=0"):
        distill.attention_transfer_loss(x, x, power=0)
