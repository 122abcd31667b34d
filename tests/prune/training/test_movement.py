"""Movement pruning: gradients against jax.grad of the formula, masks against a sort of the scores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}, "w": helpers.array(2, (8, 6))}
X, Y = helpers.array(3, (12, 10)), helpers.array(4, (12, 6))


def loss(a, bias, b):
    return jnp.mean(jnp.square(jnp.tanh(X @ a + bias[None]) @ b - Y))


def through(mask, score):
    """The mask, with the gradient of the score: what the paper calls straight-through."""
    return mask + score - jax.lax.stop_gradient(score)


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("method", "strength"),
    [
        (prune.movement(0.5, end=0, optimizer=optax.sgd(1.0)), 0.0),
        (prune.soft_movement(0.4, penalty=0.3, optimizer=optax.sgd(1.0)), 0.3),
    ],
    ids=["hard", "soft"],
)
def test_scores_and_weights_get_the_gradients_of_the_formula(method, strength):
    scores = {"a/kernel": helpers.array(5, (10, 8)), "w": helpers.array(6, (8, 6))}
    state = method.after_step(PARAMS, method.init(PARAMS)._replace(scores=scores))[1]
    masks = {path: mask.astype(jnp.float32) for path, mask in state.masks.items()}
    assert all(0 < float(mask.mean()) < 1 for mask in masks.values())

    def formula(weights, scores):
        a = weights["a"]["kernel"] * through(masks["a/kernel"], scores["a/kernel"])
        b = weights["w"] * through(masks["w"], scores["w"])
        pull = strength * sum(jnp.sum(jax.nn.sigmoid(s)) for s in scores.values())
        return loss(a, weights["a"]["bias"], b) + pull

    def seen(weights):
        v = method.view(weights, state)
        return loss(v["a"]["kernel"], v["a"]["bias"], v["w"])

    received, after = method.before_step(jax.grad(seen)(PARAMS), PARAMS, state)
    weight_grads, score_grads = jax.grad(formula, argnums=(0, 1))(PARAMS, scores)
    for x, y in zip(jax.tree.leaves(received), jax.tree.leaves(weight_grads), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)
    for path, g in score_grads.items():
        np.testing.assert_allclose(scores[path] - after.scores[path], g, rtol=1e-4, atol=1e-6)


@pytest.mark.turns(2)
@pytest.mark.parametrize("distribution", ["uniform", "global"])
def test_masks_are_the_largest_scores_on_a_cubic_schedule(distribution):
    method = prune.movement(0.9, begin=2, end=8, every=2, initial=0.1, distribution=distribution)
    state, kept = method.init(PARAMS), []
    for step in range(10):
        kept.append(sum(int(m.sum()) for m in state.masks.values()))
        scores = {"a/kernel": helpers.array(step, (10, 8)), "w": helpers.array(50 + step, (8, 6), scale=3.0)}
        state = jax.jit(method.after_step)(PARAMS, state._replace(scores=scores))[1]
    sparsity = [0.9 - 0.8 * (1 - (t - 2) / 6) ** 3 for t in (2, 4, 6, 8)]
    want = [128, 128] + [n for s in sparsity for n in [128 * (1 - s)] * 2]
    np.testing.assert_allclose(kept, want, atol=1.01)
    pools = [["a/kernel", "w"]] if distribution == "global" else [["a/kernel"], ["w"]]
    for pool in pools:
        mask = np.concatenate([np.asarray(state.masks[path]).ravel() for path in pool])
        score = np.concatenate([np.asarray(state.scores[path]).ravel() for path in pool])
        np.testing.assert_array_equal(np.flatnonzero(mask), np.sort(np.argsort(-score)[: mask.sum()]))


def test_what_moves_away_from_zero_stays_and_magnitude_would_choose_the_others():
    """Large weights shrink, small ones grow: the paper's first figure."""
    params = {"k": jnp.array([[3.0, -3.0, 0.1, -0.1]])}
    grads = {"k": jnp.array([[1.0, -1.0, -1.0, 1.0]])}
    tx = core.as_optax(prune.movement(0.5, end=3), optax.sgd(0.05))
    state, kept = tx.init(params), prune.magnitude(0.5).init(params).masks["k"].tolist()
    for _ in range(4):
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    assert state.compression.masks["k"].tolist() == [[False, False, True, True]]
    assert kept == [[True, True, False, False]]


def test_the_penalty_may_follow_the_step_and_all_is_used_at_first():
    method = prune.soft_movement(penalty=optax.linear_schedule(0.0, 8.0, 2), optimizer=optax.sgd(1.0))
    state, zero = method.init(PARAMS), jax.tree.map(jnp.zeros_like, PARAMS)
    assert all(bool(mask.all()) for mask in state.masks.values())
    seen = []
    for _ in range(3):
        state = method.after_step(PARAMS, method.before_step(zero, PARAMS, state)[1])[1]
        seen.append(float(state.scores["w"][0, 0]))
    np.testing.assert_allclose(seen[:2], [0.0, -1.0])
    slope = 8 * jax.nn.sigmoid(-1.0) * jax.nn.sigmoid(1.0)
    np.testing.assert_allclose(seen[2], -1 - slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: prune.movement(1.0, end=1), "sparsity=1.0"),
        (lambda: prune.movement(0.5, begin=3, end=1), "before it begins at 3"),
        (lambda: prune.movement(0.5, end=1, every=0), "every=0"),
        (lambda: prune.soft_movement(0.0, penalty=1.0), "threshold=0.0"),
        (lambda: prune.soft_movement(penalty=-1.0), "penalty=-1.0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.thorough
def test_rounding_does_not_decide_the_first_masks() -> None:
    """Gradients that differ in their last bits, as on a mesh or under vmap, rank alike after one step."""
    params = {"kernel": jax.random.normal(jax.random.key(0), (16, 16))}
    grads = {"kernel": jax.random.normal(jax.random.key(1), (16, 16))}
    c = prune.movement(0.5, end=1)

    def masks(grads: Any) -> jax.Array:
        _, state = c.before_step(grads, params, c.init(params))
        return c.after_step(params, state)[1].masks["kernel"]

    noisy = jax.tree.map(lambda g: g * (1 + 1e-7 * jnp.sign(jnp.sin(99 * g))), grads)
    one = masks(grads)
    assert (one == masks(noisy)).all()
    assert (one == jax.vmap(masks)(jax.tree.map(lambda g: g[None], grads))[0]).all()
    np.testing.assert_array_equal(one, _kept_by_hand(-np.asarray(params["kernel"] * grads["kernel"])))


def _kept_by_hand(scores: np.ndarray) -> np.ndarray:
    return scores >= np.sort(scores.ravel())[scores.size // 2]
