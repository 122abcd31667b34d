"""Sensitivity: true curves against plain evaluation, estimates where they are exact, and their rank correlation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import measure
from tests import helpers

SPARSITIES = (0.0, 0.5, 0.9)


def loss(params, batch):
    x, y = batch
    return jnp.mean((jnp.tanh(x @ params["a"]) @ params["b"] - y) ** 2)


@pytest.fixture
def params():
    return {"a": helpers.array(0, (6, 10)), "b": helpers.array(1, (10, 4)), "bias": jnp.zeros(3)}


@pytest.fixture
def batches():
    return [(helpers.array(i, (8, 6)), helpers.array(i + 10, (8, 4))) for i in (2, 3)]


def test_true_curves(params, batches):
    found = measure.sensitivity(loss, params, batches, SPARSITIES)
    mean = lambda p: np.mean([float(loss(p, batch)) for batch in batches])  # noqa: E731
    assert set(found.losses) == {"a", "b"}
    np.testing.assert_allclose(found.base, mean(params), rtol=1e-5)
    for path in ("a", "b"):
        w = np.asarray(params[path])
        for s, got in zip(SPARSITIES, found.losses[path]):
            order = np.argsort(-np.abs(w).ravel())[: w.size - round(s * w.size)]
            mask = np.isin(np.arange(w.size), order).reshape(w.shape)
            np.testing.assert_allclose(got, mean({**params, path: jnp.asarray(w * mask)}), rtol=1e-5)


def test_scores_decide_what_goes(params, batches):
    scores = {"a": -jnp.abs(params["a"])}
    found = measure.sensitivity(loss, params, batches, (0.5,), scores=scores, select="a")
    w = params["a"]
    small = jnp.where(jnp.abs(w) <= jnp.median(jnp.abs(w)), w, 0.0)
    want = np.mean([float(loss({**params, "a": small}, batch)) for batch in batches])
    np.testing.assert_allclose(found.losses["a"], [want], rtol=1e-5)


@pytest.mark.thorough
def test_estimate_is_the_expansion_by_example(params, batches):
    found = measure.estimated_sensitivity(loss, params, batches, SPARSITIES)
    x, y = (jnp.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    for path in ("a", "b"):
        w = np.asarray(params[path])
        for s, got in zip(SPARSITIES, found.losses[path]):
            gone = np.argsort(np.abs(w).ravel(), kind="stable")[: round(s * w.size)]
            p = []
            for i in range(16):
                g = np.asarray(jax.grad(loss)(params, (x[i : i + 1], y[i : i + 1]))[path]).ravel()
                p.append(np.sum(g[gone] * w.ravel()[gone]))
            want = found.base - np.mean(p) + np.mean(np.square(p)) / 2
            np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(found.base, measure.sensitivity(loss, params, batches, (0.0,)).base, rtol=1e-5)


@pytest.mark.thorough
def test_estimate_ranks_as_the_truth_does_after_training():
    """A small network taught by another: curves of three layers of different redundancy."""
    x = helpers.array(5, (256, 8))
    y = jnp.argmax(jnp.tanh(x @ helpers.array(6, (8, 6))) @ helpers.array(7, (6, 4)), axis=1)
    shapes = {"a": (8, 40), "b": (40, 12), "c": (12, 4)}
    params = {name: helpers.array(i, shape) / shape[0] ** 0.5 for i, (name, shape) in enumerate(shapes.items())}

    def entropy(params, batch):
        hidden = jax.nn.relu(jax.nn.relu(batch[0] @ params["a"]) @ params["b"])
        return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["c"], batch[1]).mean()

    tx = optax.adam(1e-2)

    @jax.jit
    def step(carry, _):
        params, state = carry
        updates, state = tx.update(jax.grad(entropy)(params, (x, y)), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = jax.lax.scan(step, (params, tx.init(params)), None, 150)[0][0]
    sparsities = (0.2, 0.4, 0.6, 0.8)
    true = measure.sensitivity(entropy, params, [(x, y)], sparsities)
    estimated = measure.estimated_sensitivity(entropy, params, [(x, y)], sparsities)
    assert measure.agreement(estimated, true).overall > 0.8


def test_bad_input(params, batches):
    with pytest.raises(ValueError, match="selects nothing"):
        measure.sensitivity(loss, params, batches, select="no")
    with pytest.raises(ValueError, match="needs batches, got 0"):
        measure.sensitivity(loss, params, [])
    with pytest.raises(ValueError, match=r"sparsities=\(1.0,\) in \[0, 1\)"):
        measure.estimated_sensitivity(loss, params, batches, (1.0,))
    with pytest.raises(ValueError, match=r"no scores for \['b'\]"):
        measure.sensitivity(loss, params, batches, scores={"a": params["a"]})
    for curves in (measure.sensitivity, measure.estimated_sensitivity):
        with pytest.raises(ValueError, match="the loss of the unpruned parameters is nan"):
            curves(lambda p, b: jnp.nan * jnp.sum(p["a"]), params, batches[:1], (0.5,))
    one = measure.Sensitivity((0.5,), 0.0, {"a": np.ones(1)}, {"a": 1})
    with pytest.raises(ValueError, match="cannot be compared"):
        measure.agreement(one, one._replace(sparsities=(0.6,)))
