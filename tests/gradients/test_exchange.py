"""The transformation around all compressors: memories, leaves, and shardings."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import gradients
from compressjax.gradients import exchange, top_k
from tests.gradients.workers import AXIS, WORKERS, run
from tests.gradients.workers import gradients as made


def largest(x, k):
    """The `k` entries of largest magnitude, in NumPy."""
    out = np.zeros_like(x)
    best = np.argsort(-np.abs(x).ravel(), kind="stable")[:k]
    out.ravel()[best] = x.ravel()[best]
    return out


@pytest.mark.parametrize("feedback", ["error", "ef21", "none"])
def test_memories_are_those_of_a_loop(feedback):
    grads = made()
    updates, state = run(exchange(top_k(0.2), AXIS, feedback=feedback), grads)
    memory, total = np.zeros((WORKERS, 6, 5), np.float32), 0
    for g, got in zip(grads["kernel"], updates["kernel"], strict=True):
        x = {"error": g + memory, "ef21": g - memory, "none": g}[feedback]
        sent = np.stack([largest(one, 6) for one in x])
        memory = {"error": x - sent, "ef21": memory + sent, "none": memory}[feedback]
        total = total + sent.mean(0) if feedback == "ef21" else sent.mean(0)
        np.testing.assert_allclose(got, np.broadcast_to(total, got.shape), atol=1e-6)
    if feedback != "none":
        np.testing.assert_allclose(state.memory.tree["kernel"][:, 0], memory, atol=1e-6)
    means = np.broadcast_to(grads["bias"].mean(1, keepdims=True), grads["bias"].shape)
    np.testing.assert_allclose(updates["bias"], means, atol=1e-6)  # not selected


def test_signs_alone_diverge_where_feedback_converges():
    """Gradients are 4 with probability 1/4 and else -1, so their mean is 1/4; the counter-example of Karimireddy."""
    rng = np.random.default_rng(0)
    grads = {"x": np.where(rng.random((2000, 1, 1)) < 0.25, 4.0, -1.0).astype(np.float32)}

    def travel(feedback):
        tx = optax.chain(exchange(gradients.scaled_sign(), feedback=feedback, select=".*"), optax.sgd(0.001))

        def step(carry, g):
            x, state = carry
            unit = jax.tree.map(jnp.sign, g) if feedback == "none" else g
            updates, state = tx.update(unit, state)
            return (optax.apply_updates(x, updates), state), None

        start = {"x": jnp.zeros((1, 1))}
        (x, _), _ = jax.lax.scan(step, (start, tx.init(start)), grads)
        return x["x"][0, 0]

    away, along = jax.jit(lambda: (travel("none"), travel("error")))()
    assert along < -0.3  # against the mean gradient, as descent must
    assert away > 0.3


def test_dtypes_and_states_stay(draw):
    params = {"kernel": jnp.asarray(draw.normal(size=(4, 3)), jnp.bfloat16)}
    tx = exchange(top_k(0.5))
    state = jax.eval_shape(tx.init, params)
    updates, after = jax.eval_shape(tx.update, params, state)
    assert updates["kernel"].dtype == jnp.bfloat16
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(lambda x: (x.shape, x.dtype), after)


def test_only_memories_are_spread():
    tx = optax.chain(exchange(top_k(0.5), feedback="ef21"), optax.adam(0.1))
    state = tx.init({"kernel": jnp.zeros((2, 2))})
    found = gradients.specs(state, ("a", "b"))
    assert jax.tree.structure(found) == jax.tree.structure(state)
    assert found[0].memory.tree["kernel"] == jax.sharding.PartitionSpec(("a", "b"))
    assert found[0].sum["kernel"] == found[1][0].mu["kernel"] == jax.sharding.PartitionSpec()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"float 0\.1 is not a compressor; pass one|is not a compressor"):
        exchange(0.1)
    with pytest.raises(ValueError, match="feedback='momentum' is unknown; choose one of error, ef21, none"):
        exchange(top_k(0.1), feedback="momentum")
    with pytest.raises(ValueError, match=r"select='head' matches no leaf; the leaves are \['bias'\]"):
        exchange(top_k(0.1), select="head").init({"bias": jnp.zeros(3)})
