"""Sparse variational dropout: the divergence against quadrature, exact gradients, noise that ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, special, stats

from compressjax import core, prune
from compressjax.prune.training import _variational
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}, "b": helpers.array(2, (8, 6))}
X, Y = helpers.array(3, (12, 10)), helpers.array(4, (12, 6))


def loss(params):
    return jnp.mean(jnp.square(jnp.tanh(X @ params["a"]["kernel"] + params["a"]["bias"][None]) @ params["b"] - Y))


def exact(log_alpha):
    """KL(N(1, alpha) || log-uniform) up to its constant, by quadrature: -log(alpha)/2 + E log|w|, w ~ N(1, alpha)."""
    root = np.exp(log_alpha / 2)
    points = [0, max(-1 / root, -11.9)]
    mean = integrate.quad(lambda e: stats.norm.pdf(e) * np.log(abs(1 + root * e)), -12, 12, points=points, limit=400)[0]
    return -log_alpha / 2 + mean


def test_the_approximation_is_the_papers():
    """Within 0.01 of the true divergence over the useful range, which fixes the constants k1, k2, k3."""
    grid = np.linspace(-6, 7.5, 12)
    approx = [float(_variational.divergence(jnp.ones(1), jnp.array([a]))) for a in grid]
    true = np.array([exact(a) for a in grid])
    # At infinite alpha, E log|sqrt(alpha) e| - log(alpha)/2 = E log|e|, the constant that the approximation sets to 0.
    true -= (special.digamma(0.5) + np.log(2)) / 2
    np.testing.assert_allclose(approx, true, atol=0.01)


def test_gradients_are_exact(key):
    method = prune.variational(50, key, end=10, initial=-2.0, strength=0.7, optimizer=optax.sgd(1.0))
    state = method.after_step(PARAMS, method.init(PARAMS))[1]
    views = core.values(method.view(PARAMS, state))
    flat = {path: core.values(PARAMS)[path] for path in state.log_sigma2}
    noise = {path: (views[path] - x) / jnp.exp(-1.0) for path, x in flat.items()}
    assert all(abs(float(jnp.std(e)) - 1) < 0.3 for e in noise.values())

    def formula(params, log_sigma2):
        noisy = {path: core.values(params)[path] + jnp.exp(s / 2) * noise[path] for path, s in log_sigma2.items()}
        kl = sum(_variational.divergence(core.values(params)[path], s) for path, s in log_sigma2.items())
        return loss(core.with_values(params, noisy)) + 0.7 / 50 * kl

    received, after = method.before_step(jax.grad(lambda p: loss(method.view(p, state)))(PARAMS), PARAMS, state)
    weights, spreads = jax.grad(formula, argnums=(0, 1))(PARAMS, state.log_sigma2)
    for x, y in zip(jax.tree.leaves(received), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)
    for path, g in spreads.items():
        np.testing.assert_allclose(state.log_sigma2[path] - after.log_sigma2[path], g, rtol=1e-3, atol=1e-5)


def test_the_divergence_warms_up(key):
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    method = prune.variational(1, key, end=10, warmup=4, initial=-2.0, optimizer=optax.sgd(1.0))
    state, pulls = method.init(PARAMS), []
    for _ in range(6):
        received, _ = method.before_step(zero, PARAMS, state)
        pulls.append(float(received["b"][0, 0]))
        state = method.after_step(PARAMS, state)[1]
    np.testing.assert_allclose(np.array(pulls) / pulls[-1], [0, 0.25, 0.5, 0.75, 1, 1], rtol=1e-5)


def test_noise_ends_and_masks_stay(key):
    method = prune.variational(100, key, end=2, initial=0.0)
    state, views = method.init(PARAMS), []
    for _ in range(4):
        views.append(np.asarray(method.view(PARAMS, state)["b"]))
        state = method.after_step(PARAMS, state)[1]
    kept = 0.0 - np.log(np.square(np.asarray(PARAMS["b"]))) <= 3
    assert 0 < kept.sum() < kept.size
    assert not np.array_equal(views[0], views[1])
    np.testing.assert_array_equal(views[2], np.where(kept, PARAMS["b"], 0))
    moved = jax.tree.map(lambda x: 0.01 * x, PARAMS)
    np.testing.assert_array_equal(method.after_step(moved, state)[1].masks["b"], kept)
    received, after = method.before_step(PARAMS, PARAMS, state)
    np.testing.assert_array_equal(received["b"], np.where(kept, PARAMS["b"], 0))
    assert helpers.difference(after.log_sigma2, state.log_sigma2) == ""


def test_what_the_data_do_not_need_is_removed(key):
    truth = jnp.zeros((10, 2)).at[:3].set(jnp.array([[2.0, -1.0], [1.5, 1.0], [-2.0, 0.8]]))
    x = helpers.array(8, (256, 10))
    y = x @ truth + helpers.array(10, (256, 2), scale=0.1)
    method = prune.variational(256, key, end=1400, initial=-5.0, strength=10.0, optimizer=optax.adam(0.05))
    tx = core.as_optax(method, optax.adam(optax.cosine_decay_schedule(0.02, 1500)))

    @jax.jit
    def step(_, carry):
        params, state = carry

        def cost(p):  # the negative log likelihood of an example, with the noise's true variance
            return jnp.mean(jnp.sum(jnp.square(x @ method.view(p, state.compression)["k"] - y), axis=1)) / (2 * 0.01)

        updates, state = tx.update(jax.grad(cost)(params), state, params)
        return optax.apply_updates(params, updates), state

    params = {"k": helpers.array(9, (10, 2), scale=0.3)}
    params, state = jax.lax.fori_loop(0, 1500, step, (params, tx.init(params)))
    mask = np.asarray(method.encode(params, state.compression)["k"].mask)
    assert mask[:3].all()
    assert mask[3:].sum() <= 2


def test_bad_settings(key):
    nan = float("nan")
    for settings in (
        {"examples": 0}, {"end": -1}, {"warmup": -1}, {"strength": -1.0}, {"strength": nan}, {"initial": nan},
        {"threshold": nan},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{next(iter(settings))}={next(iter(settings.values()))}"):
            prune.variational(**{"examples": 10, "key": key, "end": 5, **settings})


def test_a_divergence_that_never_has_its_full_weight_is_refused(key):
    with pytest.raises(ValueError, match="warmup=50 and end=5 must satisfy 0 <= warmup <= end"):
        prune.variational(10, key, end=5, warmup=50)
    prune.variational(10, key, end=5, warmup=5)
