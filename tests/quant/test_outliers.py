"""Weights that a method moves the most stay exact, in files and in training, and the others learn as before."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune, quant, share, tensors
from tests import helpers


def test_the_largest_errors_become_none():
    w = helpers.array(0, (20, 30))
    node = core.compress({"w": w}, {"w": quant.outliers(quant.rtn(3), 0.05)})["w"]
    plain = core.compress({"w": w}, {"w": quant.rtn(3)})["w"]
    assert isinstance(node, tensors.Sum)
    assert not helpers.difference(node.terms[0], plain)
    errors = np.abs(np.asarray(w - plain.materialize()))
    kept = errors >= np.sort(errors, axis=None)[-30]
    np.testing.assert_array_equal(node.terms[1].mask, kept)
    np.testing.assert_allclose(node.materialize(), np.where(kept, w, plain.materialize()), atol=1e-6)


def test_kept_weights_have_plain_gradients_and_the_others_those_of_the_method():
    params = {"w": helpers.array(1, (12, 8))}
    inner = share.dkm(4)
    outer = quant.outliers(inner, 0.1)
    state = outer.init(params)
    slope = helpers.array(2, (12, 8))

    def of(method):
        return jax.grad(lambda p: jnp.sum(slope * method.view(p, state)["w"]))(params)["w"]

    kept = outer.encode(params, state)["w"].terms[1].mask
    assert int(kept.sum()) == round(0.1 * 96)
    # What the other weights add to the gradient of a kept one comes through the centroids of the method.
    through = jax.grad(lambda p: jnp.sum(jnp.where(kept, 0, slope) * inner.view(p, state)["w"]))(params)["w"]
    np.testing.assert_allclose(of(outer), through + jnp.where(kept, slope, 0), atol=1e-5)


def trained(method):
    """A regression on a kernel, and the loss of the last step."""
    x, w = helpers.array(3, (64, 6)), helpers.array(4, (6, 5))
    tx = core.as_optax(method, optax.adam(0.05))
    params = {"w": 0.1 * w}
    state = tx.init(params)

    @jax.jit
    def step(params, state):
        loss = lambda p: jnp.mean((x @ method.view(p, state.compression)["w"] - x @ w) ** 2)  # noqa: E731
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    for _ in range(60):
        params, state, last = step(params, state)
    return params, state.compression, float(last)


def test_training_ends_in_what_is_stored_and_lower():
    method = quant.outliers(quant.fake_quant(2), 0.2)
    params, state, last = trained(method)
    assert last < 0.7 * trained(quant.fake_quant(2))[2]
    tree = method.encode(params, state)
    np.testing.assert_allclose(core.materialize(tree)["w"], method.view(params, state)["w"], atol=1e-6)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="outliers: share=1 must be above 0"):
        quant.outliers(quant.rtn(4), 1)
    with pytest.raises(ValueError, match="outliers: lsq.* learns parameters of its own"):
        quant.outliers(quant.lsq(4), 0.1)
    with pytest.raises(ValueError, match="outliers: magnitude.* removes weights"):
        quant.outliers(prune.magnitude(0.5), 0.1).init({"w": jnp.ones((2, 2))})
