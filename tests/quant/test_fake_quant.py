"""Quantization-aware training: the law of view and encode, the gradient, the composition with masks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compressjax import core, prune, quant
from compressjax.tensors import LowRank, Masked, Quantized


class Seen(NamedTuple):
    """What the method reads of the statistics of one leaf."""

    absmax: jax.Array


def bits(tree):
    return {p: np.asarray(x).tobytes() for p, x in core.values(core.materialize(tree)).items()}


@pytest.mark.thorough  # law 2 judges four settings in every run
@pytest.mark.strict
@settings(max_examples=8)
@given(
    st.integers(2, 8),
    st.sampled_from(["channel", "tensor", 4]),
    st.booleans(),
    st.sampled_from(["absmax", "mse"]),
    st.sampled_from([jnp.float32, jnp.bfloat16]),
)
def test_what_is_trained_is_stored(width, granularity, symmetric, clip, dtype):
    params = {"kernel": jax.random.normal(jax.random.key(width), (8, 6)).astype(dtype)}
    compression = core.chain(
        prune.magnitude(0.5), quant.fake_quant(width, granularity=granularity, symmetric=symmetric, clip=clip)
    )
    state = compression.init(params)
    encoded = compression.encode(params, state)
    assert isinstance(encoded["kernel"], Masked)
    assert isinstance(encoded["kernel"].value, Quantized)
    assert bits(jax.jit(compression.view)(params, state)) == bits(encoded)


@pytest.mark.parametrize("optimizer", [optax.adamw(0.05, weight_decay=0.1), optax.sgd(0.05, momentum=0.9)])
def test_with_growing_masks(key, optimizer):
    params = {"kernel": jax.random.normal(key, (8, 6)), "bias": jnp.zeros(6)}
    compression = core.chain(prune.gradual(0.75, end=6, every=2), quant.fake_quant(4))
    tx = core.as_optax(compression, optimizer)
    state = tx.init(params)
    x = jax.random.normal(key, (16, 8))
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(1)

        def loss(p):
            seen = compression.view(p, state.compression)
            return jnp.mean(jnp.square(x @ seen["kernel"] + seen["bias"][None] - 1.0))

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(12):
        before, masks = params, state.compression.states[0].masks["kernel"]
        params, state = step(params, state)
        assert bits(jax.jit(compression.view)(params, state.compression)) == bits(
            compression.encode(params, state.compression)
        )
        out = ~np.asarray(masks)
        assert np.asarray(before["kernel"])[out].tobytes() == np.asarray(params["kernel"])[out].tobytes()
        now = ~np.asarray(state.compression.states[0].masks["kernel"])
        for leaf in jax.tree.leaves(state.inner):
            # What a mask has just taken out is cleared before the moments are used again.
            assert leaf.shape != (8, 6) or not np.any(np.asarray(leaf)[out])
    assert now.sum() == 36
    assert len(traces) == 1


def test_gradient_is_one_inside_the_grid_and_zero_where_it_saturates():
    x = jnp.concatenate([jnp.linspace(-1.0, 1.0, 60), jnp.array([6.0])])[:, None]
    compression = quant.fake_quant(3, clip="mse")
    state = compression.init({"kernel": x})
    ratio = float(state.ratios["kernel"][0, 0])
    assert ratio < 0.9
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, state)["kernel"] * 2.0))({"kernel": x})["kernel"]
    top = 6.0 * ratio * 3.5 / 3
    np.testing.assert_array_equal(grads[:, 0], np.where(np.abs(x[:, 0]) < top, 2.0, 0.0))
    assert float(grads[-1, 0]) == 0.0
    plain = quant.fake_quant(3)
    grads = jax.grad(lambda p: jnp.sum(plain.view(p, plain.init(p))["kernel"]))({"kernel": x})["kernel"]
    np.testing.assert_array_equal(grads, 1.0)


def test_begins_when_told(key):
    params = {"kernel": jax.random.normal(key, (8, 6))}
    compression = quant.fake_quant(2, begin=2)
    state = compression.init(params)
    levels = []
    for _ in range(3):
        levels.append(len(np.unique(compression.view(params, state)["kernel"])))
        grads = jax.grad(lambda p, s=state: jnp.sum(compression.view(p, s)["kernel"]))(params)
        np.testing.assert_array_equal(grads["kernel"], 1.0)
        state = compression.after_step(params, state)[1]
    assert levels[:2] == [48, 48]
    assert levels[2] < 20
    assert bits(compression.view(params, state)) == bits(compression.encode(params, state))


def test_ratios_are_searched_again(key):
    params = {"kernel": jax.random.normal(key, (64, 1)).at[0].set(9.0)}
    tame = {"kernel": jnp.sign(params["kernel"])}
    compression = quant.fake_quant(3, clip="mse", every=2)
    state = compression.init(params)
    assert float(state.ratios["kernel"][0, 0]) < 0.9
    step = jax.jit(compression.after_step)
    _, state = step(tame, state)
    assert float(state.ratios["kernel"][0, 0]) < 0.9
    _, state = step(tame, state)
    assert float(state.ratios["kernel"][0, 0]) == 1.0


def test_training_on_the_grid_beats_rounding_after(key):
    a, b = jax.random.split(key)
    x, w = jax.random.normal(a, (64, 8)), jax.random.normal(b, (8, 3))
    x = x + 2.0 * x[:, :1]  # correlated inputs: rounding errors can make up for one another
    y = x @ w

    def error(tree):
        return float(jnp.mean(jnp.square(x @ core.materialize(tree)["kernel"] - y)))

    compression = quant.fake_quant(3)
    tx = core.as_optax(compression, optax.adam(2e-2))
    params = {"kernel": w}
    state = tx.init(params)

    @jax.jit
    def step(carry, _):
        params, state = carry

        def loss(p):
            return jnp.mean(jnp.square(x @ compression.view(p, state.compression)["kernel"] - y))

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), (value, params)

    _, (losses, path) = jax.lax.scan(step, (params, state), None, length=300)
    rounded = error(core.compress({"kernel": w}, {"kernel": quant.rtn(3)}))
    best = jax.tree.map(lambda p: p[int(jnp.argmin(losses))], path)
    trained = error(compression.encode(best, compression.init(best)))
    assert trained == pytest.approx(float(jnp.min(losses)), rel=1e-4)
    assert trained < 0.7 * rounded


def test_static_activations_remember_the_largest(key):
    params = {"kernel": jax.random.normal(key, (8, 6))}
    compression = quant.fake_quant(8, activation="static")
    state = compression.init(params)
    with pytest.raises(ValueError, match="fake_quant: the largest input of 'kernel' is 0.0"):
        compression.encode(params, state)
    for size in (2.0, 5.0, 1.0):
        state = compression.after_step(params, state, {"kernel": Seen(jnp.array(size))})[1]
    node = compression.encode(params, state)["kernel"]
    assert float(node.activation_scale) == pytest.approx(5.0 / 127)


def test_values_inside_nodes(key):
    tree = {"kernel": LowRank(jax.random.normal(key, (8, 3)), jax.random.normal(key, (3, 6)))}
    compression = quant.fake_quant(6)
    encoded = compression.encode(tree, compression.init(tree))
    assert isinstance(encoded["kernel"].left, Quantized)
    assert bits(compression.view(tree, compression.init(tree))) == bits(encoded)


def test_init_works_on_abstract_values():
    leaf = jax.ShapeDtypeStruct((8, 6), jnp.float32)
    state = jax.eval_shape(quant.fake_quant(4, clip="mse", activation="static").init, {"kernel": leaf})
    assert state.ratios["kernel"].shape == (1, 6)
    assert state.absmax["kernel"].shape == ()


def test_bad_settings():
    with pytest.raises(ValueError, match="fake_quant: bits=1"):
        quant.fake_quant(1)
    with pytest.raises(ValueError, match="begin=-1"):
        quant.fake_quant(4, begin=-1)
    params = {"kernel": jnp.array([[jnp.nan, 1.0]])}
    state = quant.fake_quant(4).init({"kernel": jnp.ones((1, 2))})
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite"):
        quant.fake_quant(4).encode(params, state)
