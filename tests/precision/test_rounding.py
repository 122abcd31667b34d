"""Stochastic rounding of parameters and of states."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, precision
from tests import toys


def test_small_updates_add_up_in_bfloat16():
    """512 updates of a 1/40 of a step: to the nearest, none of them counts."""
    params, n, move = {"w": jnp.ones(256, jnp.bfloat16)}, 512, 2.0**-7 / 40
    tx = precision.stochastic_params(optax.sgd(1.0))

    def step(carry, _):
        w, state, nearest = carry
        updates, state = tx.update({"w": jnp.full(256, -move)}, state, w)
        return (optax.apply_updates(w, updates), state, (nearest + move).astype(jnp.bfloat16)), None

    (w, state, nearest), _ = (
        jax.jit(lambda: jax.lax.scan(step, (params, tx.init(params), params["w"]), length=n)[0], static_argnums=())(),
        None,
    )
    assert w["w"].dtype == jnp.bfloat16
    assert (nearest == 1).all()
    got, exact = np.asarray(w["w"], np.float32).mean() - 1, n * move
    # Each step is a Bernoulli draw of one step of 2^-7.
    deviation = 2.0**-7 * np.sqrt(n / 40) / np.sqrt(256)
    assert abs(got - exact) < 5 * deviation
    assert int(state.step) == n


def test_other_formats_and_types():
    params = {"w": jnp.array([0.25, 0.5]), "b": jnp.zeros(2, jnp.bfloat16)}
    tx = precision.stochastic_params(optax.sgd(1.0), "q4.2")
    updates, _ = tx.update({"w": jnp.array([-0.1, 0.0]), "b": jnp.zeros(2, jnp.bfloat16)}, tx.init(params), params)
    moved = optax.apply_updates(params, updates)
    assert float(moved["w"][0]) in (0.25, 0.5)
    assert float(moved["w"][1]) == 0.5
    plain = precision.stochastic_params(optax.sgd(1.0))  # float32 stays as it is
    updates, _ = plain.update({"w": jnp.array([-0.1, 0.0])}, plain.init({"w": params["w"]}), {"w": params["w"]})
    assert updates["w"].tolist() == [np.float32(0.1), 0.0]


def test_a_state_in_half_the_bytes_decays_on_average():
    tx = precision.stochastic_state(optax.scale_by_adam(0.9, 0.999))
    params = {"w": jnp.zeros(4096)}
    state = tx.init(params)
    state = state._replace(inner=state.inner._replace(nu={"w": jnp.ones(4096, jnp.bfloat16)}))
    updates, state = jax.jit(tx.update)({"w": jnp.zeros(4096)}, state)
    nu = np.asarray(state.inner.nu["w"], np.float32)
    assert state.inner.nu["w"].dtype == jnp.bfloat16
    # 0.999 lies between 0.99609375 and 1.
    share = (1 - 0.999) / (1 - 0.99609375)
    assert abs(nu.mean() - 0.999) < 5 * 2.0**-8 * np.sqrt(share * (1 - share) / 4096)
    assert int(state.inner.count) == 1
    assert updates["w"].dtype == jnp.float32


def test_moments_of_short_parameters_are_float32():
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    tx = precision.stochastic_params(optax.adam(0.1))
    state = tx.init(params)
    after = jax.eval_shape(tx.update, params, state, params)[1]
    kinds = [jax.tree.map(lambda x: x.dtype, s) for s in (state, after)]
    assert kinds[0] == kinds[1]
    assert state.inner[0].nu["w"].dtype == jnp.float32


def test_masked_and_skipped_parameters_stay():
    tx = core.as_optax(toys.mask(0.5), precision.loss_scaled(precision.stochastic_params(optax.sgd(0.1))))
    params = {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]], jnp.bfloat16)}
    state = tx.init(params)
    grads = {"kernel": jnp.ones((2, 2), jnp.bfloat16)}
    updates, state = tx.update(grads, state, params)
    before = state.compression.mask["kernel"]
    updates, state = tx.update(jax.tree.map(lambda g: g * jnp.inf, grads), state, params)
    assert not updates["kernel"].any()
    np.testing.assert_array_equal(before, state.compression.mask["kernel"])
    assert int(precision.loss_scale_state(state).skipped) == 1


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="format='float8_e4m3fn' must be 'bfloat16' or 'float16'; for 8 bits"):
        precision.stochastic_state(optax.sgd(1.0), "e4m3")
    tx = precision.stochastic_params(optax.sgd(1.0))
    with pytest.raises(ValueError, match="update needs params="):
        tx.update({"w": jnp.ones(1)}, tx.init({"w": jnp.ones(1)}))
