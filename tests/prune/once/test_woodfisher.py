"""WoodFisher on least squares, where it is exact: against refits and against Optimal Brain Surgeon per weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune
from tests import helpers


def least_squares(seed=0, inputs=8):
    """At the minimum with residuals of plus and minus one, the empirical Fisher matrix is the Hessian."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(inputs, inputs))
    x = np.repeat(rng.normal(size=(40, inputs)) @ mixing, 2, axis=0)
    w = rng.normal(size=inputs)
    y = x @ w + np.tile([1.0, -1.0], 40)
    return x, y, w


def squares(params, batch):
    return jnp.mean((batch[0] @ params["kernel"][:, 0] - batch[1]) ** 2) / 2


def compressed(method_settings, x, y, w):
    data = (jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    params = {"kernel": jnp.asarray(w, jnp.float32)[:, None]}
    return core.compress(params, {".*": prune.woodfisher(squares, [data], **method_settings)})["kernel"]


@pytest.mark.turns(3)
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.75])
def test_kept_weights_are_the_constrained_optimum(sparsity):
    x, y, w = least_squares()
    node = compressed({"sparsity": sparsity, "damping": 1e-4}, x, y, w)
    kept = np.flatnonzero(node.mask[:, 0])
    assert len(kept) == 8 - round(8 * sparsity)
    refit = np.linalg.lstsq(x[:, kept], y, rcond=None)[0]
    np.testing.assert_allclose(node.materialize()[kept, 0], refit, rtol=1e-2, atol=1e-2)


def test_one_weight_a_round_is_optimal_brain_surgeon():
    x, y, w = least_squares(1)
    inverse = np.linalg.inv(x.T @ x / len(x) + 1e-4 * np.eye(8))
    weights, alive = w.copy(), np.ones(8, bool)
    for _ in range(5):
        scores = np.where(alive, weights**2 / (2 * np.where(alive, np.diagonal(inverse), 1)), np.inf)
        q = int(np.argmin(scores))
        weights = weights - weights[q] / inverse[q, q] * inverse[:, q]
        inverse = inverse - np.outer(inverse[:, q], inverse[q]) / inverse[q, q]
        alive[q] = False
        inverse[q] = inverse[:, q] = weights[q] = 0
    node = compressed({"sparsity": 5 / 8, "damping": 1e-4, "rounds": 5}, x, y, w)
    np.testing.assert_array_equal(node.mask[:, 0], alive)
    np.testing.assert_allclose(node.materialize()[:, 0], weights, rtol=1e-2, atol=1e-2)


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(4))
def test_loses_less_than_magnitude(seed):
    x, y, w = least_squares(seed)
    ours = compressed({"sparsity": 0.5, "damping": 1e-4, "rounds": 4}, x, y, w)
    params = {"kernel": jnp.asarray(w, jnp.float32)[:, None]}
    theirs = core.compress(params, {".*": prune.magnitude(0.5)})["kernel"]
    data = (jnp.asarray(x), jnp.asarray(y))
    assert squares({"kernel": ours.materialize()}, data) < squares({"kernel": theirs.materialize()}, data)


@pytest.mark.thorough
def test_blocks_do_not_see_each_other_and_budgets_hold():
    params = {"a": helpers.array(0, (5, 3)), "b": helpers.array(1, (3, 4)), "bias": helpers.array(2, (4,))}

    def loss(params, batch):
        return jnp.mean((jnp.tanh(batch[0] @ params["a"]) @ params["b"] + params["bias"][None] - batch[1]) ** 2)

    data = [(helpers.array(3, (20, 5)), helpers.array(4, (20, 4)))]
    method = prune.woodfisher(loss, data, 0.6, block=4, damping=1e-3)
    state = jax.jit(method.init)(params)
    assert sum(int(m.sum()) for m in state.masks.values()) == 27 - round(0.6 * 27)
    for path in ("a", "b"):
        mask, shift = (np.asarray(x[path]).ravel() for x in (state.masks, state.shifts))
        for start in range(0, mask.size, 4):
            if mask[start : start + 4].all():
                np.testing.assert_array_equal(shift[start : start + 4], 0)
    part = core.only("b", method).init(params)
    assert set(part.masks) == {"b"}


def test_bad_settings():
    for settings in ({"block": 0}, {"damping": 0.0}, {"rounds": 0}, {"sparsity": 1.0}):
        with pytest.raises(ValueError, match="woodfisher: |sparsity=1.0"):
            prune.woodfisher(squares, [], **{"sparsity": 0.5, **settings})
    with pytest.raises(ValueError, match="batches is empty"):
        prune.woodfisher(squares, [], 0.5).init({"kernel": jnp.ones((2, 2))})
