"""Hard-concrete gates: SciPy's closed forms, Monte Carlo, gradients by hand, and the gates after the noise ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, special

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}, "b": helpers.array(2, (8, 6))}
X, Y = helpers.array(3, (12, 10)), helpers.array(4, (12, 6))
BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # the paper's


def loss(params):
    return jnp.mean(jnp.square(jnp.tanh(X @ params["a"]["kernel"] + params["a"]["bias"][None]) @ params["b"] - Y))


def above(t, log_alpha):
    """P(z > t) for 0 <= t < 1: the stretched sigmoid exceeds t where logistic noise exceeds a bound."""
    return special.expit(log_alpha - BETA * special.logit((t - GAMMA) / (ZETA - GAMMA)))


def mean_gate(log_alpha):
    """E z, the integral of P(z > t)."""
    return integrate.quad(above, 0, 1, args=(log_alpha,))[0]


def gates_of(method, kernel, state):
    """The factors of a kernel in the view."""
    return helpers.float64(method.view({"k": kernel}, state)["k"]) / helpers.float64(kernel)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])
def test_gates_are_drawn_from_the_distribution(key, keep):
    """Fractions of closed, open and full gates among 40,000, and their mean; the initial noise is negligible."""
    kernel = jnp.ones((200, 200))
    method = prune.l0(0.0, key, end=10, keep=keep)
    found = gates_of(method, kernel, method.init({"k": kernel}))
    where = special.logit(keep)
    error = 5 * 0.5 / np.sqrt(found.size)
    assert abs((found == 0).mean() - (1 - above(0.0, where))) < error
    assert abs((found == 1).mean() - above(1.0, where)) < error
    assert abs((found > 0.5).mean() - above(0.5, where)) < error
    assert abs(found.mean() - mean_gate(where)) < error


@pytest.mark.turns(2)
@pytest.mark.parametrize("units", [None, 0, -1])
def test_gradients_are_exact(units, key):
    """By hand: a gate's derivative follows from its value, s(1 - s) (zeta - gamma) / beta where it is not 0 or 1."""
    method = prune.l0(0.01, key, end=10, units=units, optimizer=optax.sgd(1.0))
    state = method.after_step(PARAMS, method.init(PARAMS))[1]
    flat, seen = core.values(PARAMS), core.values(method.view(PARAMS, state))
    dense = jax.grad(loss)(core.with_values(PARAMS, {path: seen[path] for path in state.log_alpha}))
    received, after = method.before_step(jax.grad(lambda p: loss(method.view(p, state)))(PARAMS), PARAMS, state)
    got, dense = core.values(received), core.values(dense)
    np.testing.assert_allclose(got["a/bias"], dense["a/bias"], rtol=1e-5)
    inside = 0
    for path, log_alpha in state.log_alpha.items():
        w, g, a = (helpers.float64(x) for x in (flat[path], dense[path], log_alpha))
        z = helpers.float64(seen[path]) / w
        shared = tuple(i for i, n in enumerate(a.shape) if n == 1 and z.shape[i] > 1)
        if shared:
            assert np.ptp(z, axis=shared).max() < 1e-5
        np.testing.assert_allclose(got[path], g * z, rtol=1e-4, atol=1e-6)
        s = (z - GAMMA) / (ZETA - GAMMA)
        slope = np.where((z > 0) & (z < 1), s * (1 - s) * (ZETA - GAMMA) / BETA, 0.0)
        share, p = w.size // a.size, above(0.0, a)
        want = np.sum(g * w * slope, axis=shared, keepdims=True) + 0.01 * share * p * (1 - p)
        np.testing.assert_allclose(state.log_alpha[path] - after.log_alpha[path], want, rtol=2e-3, atol=1e-5)
        inside += ((z > 0) & (z < 1)).any()
    assert inside == 2


def test_the_gradient_of_the_mean_is_the_mean_of_gradients(key):
    """Over 40,000 gates, the derivative by log alpha is that of E z."""
    kernel, where = jnp.ones((200, 200)), special.logit(0.5)
    method = prune.l0(0.0, key, end=10, optimizer=optax.sgd(1.0))
    state = method.init({"k": kernel})
    _, after = method.before_step({"k": kernel}, {"k": kernel}, state)
    slopes = helpers.float64(state.log_alpha["k"] - after.log_alpha["k"])
    want = (mean_gate(where + 1e-3) - mean_gate(where - 1e-3)) / 2e-3
    assert abs(slopes.mean() - want) < 5 * slopes.std() / np.sqrt(slopes.size)


def test_every_step_draws_anew_until_the_end(key):
    method = prune.l0(0.0, key, end=3)
    state, views = method.init(PARAMS), []
    for _ in range(6):
        views.append(np.asarray(method.view(PARAMS, state)["b"]))
        state = method.after_step(PARAMS, state)[1]
    assert len({x.tobytes() for x in views}) == 4
    stored = core.materialize(method.encode(PARAMS, state))["b"]
    assert helpers.same_bits(views[3], stored)
    assert helpers.same_bits(views[5], stored)


def test_what_the_loss_does_not_need_is_closed_and_the_rest_stays_open(key):
    """A regression on three of ten inputs, with one gate an input."""
    truth = jnp.zeros((10, 2)).at[:3].set(helpers.array(7, (3, 2), scale=2.0))
    x = helpers.array(8, (256, 10))
    y = x @ truth
    method = prune.l0(0.02, key, end=300, units=0, optimizer=optax.adam(0.05))
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
    [
        ({"penalty": -1.0}, "penalty=-1.0"),
        ({"penalty": float("nan")}, "penalty=nan must be finite and at least 0"),
        ({"penalty": float("inf")}, "penalty=inf"),
        ({"keep": 1.0}, "keep=1.0"),
        ({"end": -1}, "end=-1"),
    ],
)
def test_bad_settings(key, settings, message):
    with pytest.raises(ValueError, match=message):
        prune.l0(**{"penalty": 0.1, "key": key, "end": 1, **settings})


def test_a_missing_axis_is_named(key):
    with pytest.raises(ValueError, match="units=2, but 'a/kernel' has 2 axes"):
        prune.l0(0.1, key, end=1, units=2).init(PARAMS)
