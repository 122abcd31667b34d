"""Hutchinson's estimate on a quadratic whose Hessian is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.measure import hessian_trace
from tests import helpers


def test_is_unbiased_on_a_known_quadratic(key):
    """Two leaves whose Hessian has blocks between them: the estimates are within 4 of their standard errors."""
    root = helpers.array(0, (10, 10))
    hessian = root @ root.T

    def loss(params, scale):
        x = jnp.concatenate([params["a"].ravel(), params["b"].ravel()])
        return scale * x @ hessian @ x / 2

    params = {"a": helpers.array(1, (2, 3)), "b": helpers.array(2, (4, 1))}
    found = hessian_trace(loss, params, [1.0, 3.0], key, probes=400)
    diagonal = 2 * np.diagonal(np.asarray(hessian))  # the mean of both scales
    for path, true in (("a", diagonal[:6].sum()), ("b", diagonal[6:].sum())):
        assert 0 < found[path].error < 0.1 * true
        assert abs(found[path].value - true) < 4 * found[path].error


def test_is_exact_for_a_diagonal_hessian(key):
    weights = jnp.arange(6.0).reshape(2, 3)
    found = hessian_trace(lambda p, _: jnp.sum(weights * p["a"] ** 2), {"a": jnp.ones((2, 3))}, [None], key, probes=1)
    assert found["a"].value == 30.0
    assert np.isnan(found["a"].error)


def test_bad_input(key):
    params = {"a": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match="selects nothing"):
        hessian_trace(lambda p, _: jnp.sum(p["a"]), params, [None], key, select="b")
    with pytest.raises(ValueError, match="0 batches"):
        hessian_trace(lambda p, _: jnp.sum(p["a"]), params, [], key)
    with pytest.raises(ValueError, match=r"second derivatives of \['a'\] are not finite"):
        hessian_trace(lambda p, _: jnp.sum(jnp.inf * p["a"] ** 2), params, [None], jax.random.key(0), probes=1)
