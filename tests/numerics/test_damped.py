"""Damping grows until a factor exists, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._damped import damped_root


@pytest.fixture(scope="module")
def root():
    return jax.jit(damped_root, static_argnums=1)


def with_eigenvalues(*values):
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values), len(values))))
    return ((q * np.array(values)) @ q.T).astype(np.float32)


@pytest.mark.parametrize(
    ("eigenvalues", "damping"),
    [((1, 2, 3, 4), 0.01), ((-0.1, 1, 2, 5), 0.1), ((-0.5, 1, 2, 5), 1.0)],
    ids=["definite", "a step more", "two steps more"],
)
def test_the_least_damping_of_the_steps_that_has_a_root(root, eigenvalues, damping):
    h = with_eigenvalues(*eigenvalues)
    found = root(h, 0.01)
    assert float(found.damping) == pytest.approx(damping, rel=1e-5)
    assert not found.failed
    damped = h.astype(np.float64) + damping * np.mean(np.diagonal(h)) * np.eye(4)
    u = np.asarray(found.root, np.float64)
    np.testing.assert_allclose(u.T @ u @ damped, np.eye(4), atol=1e-4)
    np.testing.assert_array_equal(np.tril(u, -1), 0)


def test_without_a_root_it_is_the_identity(root):
    found = root(with_eigenvalues(-9, 1, 2, 7), 0.01)
    assert found.failed
    np.testing.assert_array_equal(found.root, np.eye(4))


def test_singular_without_damping_takes_the_least(root):
    found = root(np.ones((4, 4), np.float32), 0.0)
    assert float(found.damping) == pytest.approx(1e-3)
    assert not found.failed


def test_an_unseen_input_is_unrelated_to_the_rest():
    h = np.zeros((3, 3), np.float32)
    h[:2, :2] = [[2, 1], [1, 2]]
    found = np.asarray(damped_root(jnp.asarray(h), 0.0).root)
    np.testing.assert_array_equal(found[2, :2], 0)
    np.testing.assert_array_equal(found[:2, 2], 0)
    assert np.isfinite(found).all()
