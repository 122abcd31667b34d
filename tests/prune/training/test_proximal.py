"""Proximal steps: against minimizers from SciPy and scikit-learn, with exact zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize
from sklearn.linear_model import Lasso

from compressjax import core, prune
from compressjax.prune.training._proximal import ProximalState
from tests import helpers

PENALTIES = {
    "l1": (prune.proximal_l1(0.4), lambda w: np.abs(w).sum()),
    "columns": (prune.proximal_group(0.4), lambda w: np.sqrt(5) * np.linalg.norm(w, axis=0).sum()),
    "rows": (prune.proximal_group(0.4, axis=0), lambda w: np.sqrt(4) * np.linalg.norm(w, axis=1).sum()),
    "nuclear": (prune.proximal_nuclear(0.4), lambda w: np.linalg.svd(w, compute_uv=False).sum()),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_step_is_the_minimum_of_penalty_and_distance(name):
    """prox(x) minimizes t R(w) + |w - x|^2 / 2: no direction and no solver finds a smaller value."""
    method, penalty = PENALTIES[name]
    x = np.asarray(helpers.array(0, (5, 4)), np.float64)
    got = np.asarray(method.after_step({"k": jnp.asarray(x, jnp.float32)}, method.init({"k": x}))[0]["k"], np.float64)

    def cost(w):
        return 0.4 * penalty(w.reshape(x.shape)) + 0.5 * np.sum((w.reshape(x.shape) - x) ** 2)

    assert cost(got) < cost(x)
    found = optimize.minimize(cost, x.ravel(), method="Powell", options={"maxiter": 20_000, "ftol": 1e-12})
    assert cost(got) <= found.fun + 1e-5
    rng = np.random.default_rng(1)
    for _ in range(200):
        assert cost(got) <= cost(got + 1e-3 * rng.normal(size=x.shape)) + 1e-9


def test_training_is_lasso():
    """ISTA converges to scikit-learn's coefficients, with exact zeros."""
    x, noise = helpers.array(1, (60, 12)), helpers.array(2, (60, 1), scale=0.3)
    y = x[:, :3] @ jnp.array([[2.0], [-1.0], [0.5]]) + noise
    method = prune.proximal_l1(0.1 * 0.2)
    tx = core.as_optax(method, optax.sgd(0.1))

    @jax.jit
    def step(_, carry):
        params, state = carry
        grads = jax.grad(lambda p: jnp.mean(jnp.square(x @ method.view(p, state.compression)["k"] - y)) / 2)(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params = {"k": helpers.array(3, (12, 1))}
    params, state = jax.lax.fori_loop(0, 2000, step, (params, tx.init(params)))
    theirs = Lasso(alpha=0.2, fit_intercept=False, tol=1e-10, max_iter=100_000).fit(x, y[:, 0]).coef_
    np.testing.assert_allclose(params["k"][:, 0], theirs, atol=2e-4)
    np.testing.assert_array_equal(np.asarray(params["k"][:, 0]) == 0, theirs == 0)
    assert 3 <= int((params["k"] != 0).sum()) < 12
    node = method.encode(params, state.compression)["k"]
    np.testing.assert_array_equal(node.mask, np.asarray(params["k"]) != 0)


def test_zeros_may_leave():
    """The view passes the gradient of zero weights."""
    method = prune.proximal_l1(0.0)
    grad = jax.grad(lambda p: jnp.sum(3 * method.view(p, method.init(p))["k"]))({"k": jnp.zeros((2, 2))})
    np.testing.assert_array_equal(grad["k"], np.full((2, 2), 3.0))


def test_groups_go_whole_and_rank_falls():
    params = {"k": helpers.array(0, (3, 3, 4, 8), scale=0.1), "m": helpers.array(1, (12, 6))}
    group = prune.proximal_group(0.1)
    zero = np.asarray(group.after_step(params, group.init(params))[0]["k"] == 0)
    assert 0 < zero.all(axis=(0, 1, 2)).sum() < 8
    assert (zero.all(axis=(0, 1, 2)) == zero.any(axis=(0, 1, 2))).all()
    nuclear = prune.proximal_nuclear(2.0)
    assert np.linalg.matrix_rank(nuclear.after_step(params, nuclear.init(params))[0]["m"], tol=1e-4) < 6


def test_strength_follows_the_step_and_every_counts():
    method = prune.proximal_l1(optax.linear_schedule(0.0, 1.0, 4))
    state = method.init({"k": jnp.ones((1, 1))})
    state = method.after_step({"k": jnp.ones((1, 1))}, state)[1]
    assert method.after_step({"k": jnp.ones((1, 1))}, state)[0]["k"].item() == 0.5
    rare = prune.proximal_nuclear(0.5, every=3)
    state, changed = rare.init({"k": jnp.eye(2)}), []
    for _ in range(6):
        moved, state = rare.after_step({"k": jnp.eye(2)}, state)
        changed.append(bool((moved["k"] != jnp.eye(2)).any()))
    assert changed == [False, False, True] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: prune.proximal_l1(-1.0), "strength=-1.0"),
        (lambda: prune.proximal_nuclear(1.0, every=0), "every=0"),
        (lambda: prune.proximal_group(1.0, axis=2).after_step({"k": jnp.eye(2)}, ProximalState(0)), "axis=2"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
