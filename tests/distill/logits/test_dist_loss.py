"""DIST against Pearson's correlation of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


@pytest.fixture
def logits(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(jax.random.normal(k, (6, 3)) for k in jax.random.split(key))


def test_value(logits: tuple[jax.Array, jax.Array]) -> None:
    p, q = (scipy.special.softmax(np.asarray(x, np.float64) / 2, axis=-1) for x in logits)
    rows = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q)])
    columns = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T)])
    got = distill.dist_loss(*logits, temperature=2.0, beta=0.5, gamma=3.0)
    np.testing.assert_allclose(got, 4 * (0.5 * rows + 3 * columns), rtol=1e-4)
    # Positions are examples too.
    np.testing.assert_allclose(
        distill.dist_loss(*(x.reshape(2, 3, 3) for x in logits), temperature=2.0, beta=0.5, gamma=3.0), got, rtol=1e-5
    )


def test_weights_count_examples(logits: tuple[jax.Array, jax.Array]) -> None:
    twice = [jnp.concatenate([x, x[:2]]) for x in logits]
    got = distill.dist_loss(*logits, weights=jnp.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(got, distill.dist_loss(*twice), rtol=1e-5)


@pytest.mark.thorough
def test_constants_do_not_correlate(logits: tuple[jax.Array, jax.Array]) -> None:
    student, _ = logits
    both = jax.jit(jax.value_and_grad(distill.dist_loss))
    got, slopes = both(student, jnp.zeros_like(student))
    np.testing.assert_allclose(got, 2.0, rtol=1e-6)
    assert np.isfinite(slopes).all()
    # Means of 10 and 100 equal classes are not exact; rounding is no relation, and has no gradient.
    for classes in (10, 100):
        zeros = jnp.zeros((12, classes))
        got, slopes = both(zeros, zeros)
        np.testing.assert_allclose(got, 2.0, rtol=1e-6)
        np.testing.assert_array_equal(slopes, 0.0)


def test_bad_arguments(logits: tuple[jax.Array, jax.Array]) -> None:
    with pytest.raises(ValueError, match="gamma=-1"):
        distill.dist_loss(*logits, gamma=-1)
    with pytest.raises(ValueError, match="temperature=0"):
        distill.dist_loss(*logits, temperature=0)
