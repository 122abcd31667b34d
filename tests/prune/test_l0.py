"""Hard-concrete gates: closed forms, exact gradients, and what is left when the noise ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate

from compressjax import core, prune
from compressjax.prune import _l0
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}, "b": helpers.array(2, (8, 6))}
X, Y = helpers.array(3, (12, 10)), helpers.array(4, (12, 6))


def loss(params):
    return jnp.mean(jnp.square(jnp.tanh(X @ params["a"]["kernel"] + params["a"]["bias"][None]) @ params["b"] - Y))


@pytest.mark.parametrize("where", [-3.0, 0.0, 1.5])
def test_the_penalty_is_the_probability_of_an_open_gate(where):
    """P(z > 0), from the distribution of the noise: the gate is open where u exceeds a bound."""
    u = (np.arange(200_000) + 0.5) / 200_000
    gates = np.asarray(_l0.hard_concrete(jnp.full(u.shape, where), jnp.asarray(u, jnp.float32)))
    assert abs((gates > 0).mean() - float(_l0.expected_l0(jnp.array([where])))) < 1e-4
    closed, opened = (gates == 0).mean(), (gates == 1).mean()
    assert closed > 0.01
    assert opened > 0.001
    mean = integrate.quad(lambda v: float(np.interp(v, u, gates)), 0, 1, limit=200)[0]
    assert abs(gates.mean() - mean) < 1e-3


@pytest.mark.parametrize("units", [None, 0, -1])
def test_gradients_are_exact(units, key):
    method = prune.l0(0.01, key, end=10, units=units, optimiser=optax.sgd(1.0))
    state = method.update(method.init(PARAMS), PARAMS)
    noise = {path: _l0._uniform(state, path, a.shape) for path, a in state.log_alpha.items()}

    def formula(params, log_alpha):
        gates = {path: _l0.hard_concrete(a, noise[path]) for path, a in log_alpha.items()}
        gated = {**params, "b": params["b"] * gates["b"]}
        gated["a"] = {**params["a"], "kernel": params["a"]["kernel"] * gates["a/kernel"]}
        sizes = {"a/kernel": 80, "b": 48}
        cost = sum(_l0.expected_l0(a) * sizes[path] / a.size for path, a in log_alpha.items())
        return loss(gated) + 0.01 * cost

    received, after = method.receive(jax.grad(lambda p: loss(method.view(p, state)))(PARAMS), PARAMS, state)
    weights, gates = jax.grad(formula, argnums=(0, 1))(PARAMS, state.log_alpha)
    for x, y in zip(jax.tree.leaves(received), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    for path, g in gates.items():
        assert g.shape == state.log_alpha[path].shape
        np.testing.assert_allclose(state.log_alpha[path] - after.log_alpha[path], g, rtol=1e-3, atol=1e-6)


def test_every_step_draws_anew_until_the_end(key):
    method = prune.l0(0.0, key, end=3)
    state, views = method.init(PARAMS), []
    for _ in range(6):
        views.append(np.asarray(method.view(PARAMS, state)["b"]))
        state = method.update(state, PARAMS)
    assert len({x.tobytes() for x in views}) == 4
    stored = core.materialize(method.encode(PARAMS, state))["b"]
    assert helpers.same_bits(views[3], stored)
    assert helpers.same_bits(views[5], stored)


def test_what_the_loss_does_not_need_is_closed_and_the_rest_stays_open(key):
    """A regression on three of ten inputs, with one gate an input."""
    truth = jnp.zeros((10, 2)).at[:3].set(helpers.array(7, (3, 2), scale=2.0))
    x = helpers.array(8, (256, 10))
    y = x @ truth
    method = prune.l0(0.02, key, end=300, units=0, optimiser=optax.adam(0.05))
    tx = core.as_optax(method, optax.adam(0.05))

    @jax.jit
    def step(_, carry):
        params, state = carry

        def cost(p):
            return jnp.mean(jnp.square(x @ method.view(p, state.compression)["k"] - y))

        updates, state = tx.update(jax.grad(cost)(params), state, params)
        return optax.apply_updates(params, updates), state

    params = {"k": helpers.array(9, (10, 2), scale=0.3)}
    params, state = jax.lax.fori_loop(0, 400, step, (params, tx.init(params)))
    mask = np.asarray(method.encode(params, state.compression)["k"].mask)
    assert mask.all(axis=1).tolist() == [True] * 3 + [False] * 7
    np.testing.assert_allclose(method.view(params, state.compression)["k"][:3], truth[:3], atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"penalty": -1.0}, "penalty=-1.0"), ({"keep": 1.0}, "keep=1.0"), ({"end": -1}, "end=-1")],
)
def test_bad_settings(key, settings, message):
    with pytest.raises(ValueError, match=message):
        prune.l0(**{"penalty": 0.1, "key": key, "end": 1, **settings})


def test_a_missing_axis_is_named(key):
    with pytest.raises(ValueError, match="units=2, but 'a/kernel' has 2 axes"):
        prune.l0(0.1, key, end=1, units=2).init(PARAMS)
