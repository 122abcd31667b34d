"""Permutation importance: a linear model has a closed form, and each rise is that of a shuffle."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_a_linear_model_has_a_closed_form(draw, key):
    x = draw.normal(size=(200, 3)).astype(np.float32)
    weights = np.array([2.0, -1.0, 0.0], np.float32)
    found = data.permutation_importance(lambda x, y: jnp.mean((x @ weights - y) ** 2), x, x @ weights, key, repeats=30)
    np.testing.assert_allclose(found.mean, 2 * weights**2 * x.var(0), rtol=0.05, atol=1e-6)
    assert found.rises.shape == (3, 30)
    np.testing.assert_allclose(found.deviation, np.asarray(found.rises).std(1), rtol=1e-4, atol=1e-7)
    assert data.select_by(found.mean, 2).places.tolist() == [0, 1]


def test_bad_arguments_are_named(key):
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"the loss gives \(4,\); it must be a scalar"):
        data.permutation_importance(lambda x, y: x[:, 0], x, None, key)
    with pytest.raises(ValueError, match="repeats=0"):
        data.permutation_importance(lambda x, y: x.sum(), x, None, key, repeats=0)
    with pytest.raises(ValueError, match=r"x of shape \(2,\)"):
        data.permutation_importance(lambda x, y: x.sum(), x[0, :], None, key)
