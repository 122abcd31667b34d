"""Coordinate descent on products, against exact solutions."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls
from sklearn.linear_model import Lasso

from compressjax.data import _coordinate


def test_settled_codes_are_exact(draw):
    atoms, x = draw.normal(size=(4, 9)), draw.normal(size=(6, 9))
    gram, targets = (jnp.asarray(m, jnp.float32) for m in (atoms @ atoms.T, atoms @ x.T))
    run = jax.jit(_coordinate.settled, static_argnums=(3, 4, 5))
    found = run(jnp.zeros((4, 6)), gram, targets, _coordinate.positive, 500, 1e-7)
    np.testing.assert_allclose(found.T, [nnls(atoms.T, row)[0] for row in x], atol=1e-4)
    found = run(jnp.zeros((4, 6)), gram, targets, _coordinate.soft(0.9), 500, 1e-7)
    exact = [Lasso(0.9 / 9, fit_intercept=False, tol=1e-10).fit(atoms.T, row).coef_ for row in x]
    np.testing.assert_allclose(found.T, exact, atol=1e-4)
    assert (found == 0).any()


def test_coordinates_without_curvature_stay():
    gram = jnp.zeros((2, 2)).at[0, 0].set(1.0)
    found, moved = _coordinate.sweep(jnp.ones((2, 1)), gram, jnp.array([[3.0], [0.0]]), _coordinate.positive)
    np.testing.assert_array_equal(found, [[3.0], [1.0]])
    assert float(moved) == 2.0
    assert _coordinate.unit_ball(jnp.ones((2, 1)), gram, jnp.array([[0.5], [0.0]])).tolist() == [[0.5], [1.0]]
