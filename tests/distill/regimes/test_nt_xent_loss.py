"""The loss of SimCLR against its sum over pairs, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def brute(first: np.ndarray, second: np.ndarray, t: float) -> float:
    """The paper's loop: the mean over all ordered positive pairs."""
    z = np.stack([first, second], 1).reshape(-1, first.shape[1]).astype(np.float64)  # views of an example side by side
    s = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in z] for a in z]
    total = 0.0
    for k in range(len(first)):
        for i, j in ((2 * k, 2 * k + 1), (2 * k + 1, 2 * k)):
            others = sum(np.exp(s[i][m] / t) for m in range(len(z)) if m != i)
            total -= np.log(np.exp(s[i][j] / t) / others)
    return total / len(z)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_value(key: jax.Array, temperature: float) -> None:
    first, second = jax.random.normal(key, (2, 5, 3))
    got = distill.nt_xent_loss(first, second, temperature=temperature)
    assert float(got) == pytest.approx(brute(np.asarray(first), np.asarray(second), temperature), rel=1e-4)
    np.testing.assert_allclose(distill.nt_xent_loss(second, first, temperature=temperature), got, rtol=1e-6)


@pytest.mark.thorough
def test_both_views_learn_and_a_single_example_has_no_loss(key: jax.Array) -> None:
    first, second = jax.random.normal(key, (2, 4, 3))
    slopes = jax.grad(distill.nt_xent_loss, argnums=(0, 1))(first, second)
    assert all(np.any(g, axis=1).all() for g in slopes)
    assert distill.nt_xent_loss(first[:1], second[:1]) == 0


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="over the same examples"):
        distill.nt_xent_loss(jnp.ones((2, 3)), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="temperature=0"):
        distill.nt_xent_loss(jnp.ones((2, 3)), jnp.ones((2, 3)), temperature=0)
