"""Loss scaling: the published schedule, Flax's own, and steps that are skipped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.dynamic_scale import DynamicScale

from compressjax import core, precision, prune

PARAMS = {"kernel": jnp.array([[1.0, -2.0], [3.0, 4.0]])}


def ran(tx, grads, params=None):
    """Updates and states of calls with gradients that are one number each."""
    params = params or PARAMS

    def step(state, g):
        updates, state = tx.update(jax.tree.map(lambda p: jnp.full(p.shape, g), params), state, params)
        return state, (updates, precision.loss_scale_state(state))

    return jax.jit(lambda g: jax.lax.scan(step, tx.init(params), g))(jnp.asarray(grads, jnp.float32))


def test_the_scale_is_that_of_the_published_rule(draw):
    """Halved at every overflow, doubled after n good steps in a row; the same as Flax, which counts one more."""
    bad = draw.random(60) < 0.2
    _, (_, states) = ran(precision.loss_scaled(optax.sgd(1.0), 2.0**4, interval=3), np.where(bad, np.nan, 1.0))
    flax = DynamicScale(growth_interval=2, scale=jnp.float32(2.0**4), minimum_scale=1.0)
    scale, good = 2.0**4, 0
    follow = jax.jit(lambda s, g: s.value_and_grad(lambda x: x * g)(1.0)[0])
    for i, overflow in enumerate(bad):
        good = 0 if overflow else good + 1
        scale = max(scale / 2, 1.0) if overflow else scale * (2 if good == 3 else 1)
        good %= 3
        flax = follow(flax, np.float32(np.nan if overflow else 1.0))
        assert float(states.scale[i]) == scale == float(flax.scale)
        assert int(states.good[i]) == good
    assert int(states.skipped[-1]) == bad.sum()
    assert int(states.steps[-1]) == (~bad).sum()


def test_skipped_steps_change_nothing_and_are_not_counted():
    grads = [1.0, np.inf, 2.0, np.nan, np.nan]
    state, (updates, states) = ran(precision.loss_scaled(optax.adam(0.1), interval=None), grads)
    plain, adam = optax.adam(0.1), optax.adam(0.1).init(PARAMS)
    for i, g in enumerate(grads):
        if np.isfinite(g):
            exact, adam = plain.update({"kernel": jnp.full((2, 2), g)}, adam)
            np.testing.assert_allclose(updates["kernel"][i], exact["kernel"], rtol=1e-6)
        else:
            assert not updates["kernel"][i].any()
    inner = state.guard.inner_state
    assert int(inner[0].count) == 2
    np.testing.assert_allclose(inner[0].nu["kernel"], adam[0].nu["kernel"], rtol=1e-6)
    assert states.skipped.tolist() == [0, 1, 1, 2, 3]
    assert (states.scale == 2.0**15).all()


@pytest.mark.parametrize("inside", [True, False])
def test_compressions_step_when_the_optimizer_does(inside):
    """The masks of the third step, whatever was skipped before it; scaling may stand on either side."""
    method = prune.gradual(0.5, end=3, every=1)
    if inside:
        tx = core.as_optax(method, precision.loss_scaled(optax.sgd(0.1)))
    else:
        tx = precision.loss_scaled(core.as_optax(method, optax.sgd(0.1)))

    def of(state):
        return (state if inside else state.guard.inner_state).compression

    plain = core.as_optax(method, optax.sgd(0.1))
    skipping, _ = ran(tx, [np.inf, 1.0, np.nan, 1.0])
    stepping, _ = jax.lax.scan(
        lambda s, g: (plain.update({"kernel": jnp.full((2, 2), g)}, s, PARAMS)[1], None),
        plain.init(PARAMS),
        jnp.ones(2),
    )
    for got, exact in zip(jax.tree.leaves(of(skipping)), jax.tree.leaves(stepping.compression), strict=True):
        np.testing.assert_array_equal(got, exact)


def test_micro_steps():
    """The bad micro-step is left out, and a compression steps once for two good ones."""
    _, (updates, states) = ran(precision.loss_scaled(optax.MultiSteps(optax.sgd(1.0), 2)), [1.0, np.inf, 2.0, 4.0, 8.0])
    assert updates["kernel"][:, 0, 0].tolist() == [0, 0, -1.5, 0, -6]
    assert (int(states.skipped[-1]), int(states.steps[-1])) == (1, 4)
    compressed = core.as_optax(prune.gradual(0.5, end=9, every=1), optax.MultiSteps(optax.sgd(1.0), 2))
    state, _ = ran(precision.loss_scaled(compressed), [1.0, np.inf, 2.0, 4.0, 8.0])
    assert int(state.guard.inner_state.compression.count) == 2


def test_gradients_are_those_of_float32_on_exact_values():
    """Small integers are exact in float16 with any power of two as the scale, until they overflow."""
    w, x = jnp.array([[1.0, -2.0], [3.0, 4.0]]), jnp.array([[1.0, 2.0], [-3.0, 1.0]])

    def loss(w, x):
        return jnp.sum(precision.mixed(lambda w, x: (x @ w) ** 2, "fp16")(w, x))

    run = jax.jit(precision.scaled_value_and_grad(loss))
    exact = jax.value_and_grad(lambda w: jnp.sum((x @ w) ** 2))(w)
    for scale in (1.0, 2.0**8):
        value, grad = run(jnp.float32(scale), w, x)
        assert float(value) == float(exact[0])
        np.testing.assert_array_equal(grad, exact[1])
    assert not np.isfinite(run(jnp.float32(2.0**14), w, x)[1]).all()
    # 2^-26 is zero in float16, and 2^-10 of it is not.
    tiny = precision.scaled_value_and_grad(
        lambda w: precision.mixed(jnp.dot, "fp16")(w, jnp.full(2, 2.0**-13)) * 2.0**-13
    )
    assert float(tiny(jnp.float32(1.0), jnp.ones(2))[1][0]) == 0.0
    assert float(tiny(jnp.float32(2.0**10), jnp.ones(2))[1][0]) == 2.0**-26


def test_workers_skip_together():
    tx = precision.loss_scaled(optax.sgd(1.0), 8.0, axis_name="w")
    state = tx.init(PARAMS)
    grads = {"kernel": jnp.ones((2, 2, 2)).at[1, 0, 0].set(np.inf)}
    updates, after = jax.vmap(lambda g: tx.update(g, state), axis_name="w")(grads)
    assert not updates["kernel"].any()
    assert after.scale.tolist() == [4.0, 4.0]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="initial=0.5 must lie from smallest=1.0"):
        precision.loss_scaled(optax.sgd(1.0), 0.5)
    with pytest.raises(ValueError, match="the state has 0 parts of loss_scaled"):
        precision.scale_of(optax.sgd(1.0).init(PARAMS))
