"""Woodbury against the direct inverse; the surgeon's step against the constrained optimum, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.saliency._woodbury import constrained_step, woodbury_inverse


def problem(n=7, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    return jnp.asarray(root @ root.T + 0.1 * np.eye(n)), jnp.asarray(rng.normal(size=n))


@pytest.mark.parametrize(("count", "size"), [(3, 8), (20, 5), (1, 1)])
def test_equals_the_direct_inverse(count, size):
    with jax.enable_x64(True):
        rows = np.random.default_rng(1).normal(size=(count, size))
        direct = np.linalg.inv(1e-3 * np.eye(size) + rows.T @ rows / count)
        got = woodbury_inverse(jnp.asarray(rows), 1e-3)
        np.testing.assert_allclose(got, direct, rtol=1e-8, atol=1e-8 * np.abs(direct).max())


def test_in_float32_within_the_digits_that_damping_leaves():
    rows = np.random.default_rng(1).normal(size=(30, 10)).astype(np.float32)
    direct = np.linalg.inv(1e-2 * np.eye(10) + rows.T.astype(np.float64) @ rows / 30)
    np.testing.assert_allclose(woodbury_inverse(jnp.asarray(rows), 1e-2), direct, rtol=1e-3, atol=1e-3)


@pytest.mark.turns(2)
@pytest.mark.parametrize("gone", [[2], [0, 3, 5], [], list(range(7))])
def test_step_is_the_constrained_optimum_of_a_quadratic(gone):
    with jax.enable_x64(True):
        hessian, w = problem()
        removed = jnp.zeros(7, bool).at[jnp.array(gone, int)].set(True)
        change, rise = constrained_step(w, jnp.linalg.inv(hessian), removed)
        loss = lambda d: float(d @ hessian @ d / 2)  # noqa: E731  # around the minimum w
        np.testing.assert_allclose(rise, loss(change), rtol=1e-8, atol=1e-12)
        # Solved as a linear system over the free weights, with the others fixed at -w.
        free = np.array([i for i in range(7) if i not in gone], int)
        want = -np.asarray(w)
        if free.size:
            fixed = np.asarray(hessian)[np.ix_(free, gone)] @ want[gone] if gone else np.zeros(free.size)
            want[free] = np.linalg.solve(np.asarray(hessian)[np.ix_(free, free)], -fixed)
        np.testing.assert_allclose(change, want, rtol=1e-8, atol=1e-10)
        assert np.all((np.asarray(w) + change)[np.array(gone, int)] == 0)


def test_one_weight_has_the_score_of_the_paper():
    with jax.enable_x64(True):
        hessian, w = problem()
        inverse = jnp.linalg.inv(hessian)
        for q in range(7):
            change, rise = constrained_step(w, inverse, jnp.arange(7) == q)
            np.testing.assert_allclose(rise, w[q] ** 2 / (2 * inverse[q, q]), rtol=1e-9)
            np.testing.assert_allclose(change, -w[q] / inverse[q, q] * inverse[:, q], rtol=1e-9)


def test_damping_must_be_positive():
    with pytest.raises(ValueError, match="damping=0.0 must be positive"):
        woodbury_inverse(jnp.ones((1, 1)), 0.0)
