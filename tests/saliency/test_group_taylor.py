"""The square of a unit's summed first-order change, against a directional derivative."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import saliency
from tests import helpers

P = {"a": helpers.array(0, (4, 5)), "b": helpers.array(1, (5, 3)), "frozen": jnp.ones(2)}


def loss(p):
    return jnp.sum(jnp.tanh(jnp.tanh(p["a"]) @ p["b"]))


def test_a_units_score_is_the_squared_directional_derivative():
    grads = {path: g for path, g in jax.grad(loss)(P).items() if path != "frozen"}
    taylor = saliency.group_taylor(grads)
    got = saliency.unit_scores(taylor.score(P), {"hidden": [("a", 1), ("b", 0)]}, taylor.reduce)["hidden"]
    for unit in range(5):
        own = jnp.arange(5) == unit
        direction = {"a": P["a"] * own[None], "b": P["b"] * own[:, None], "frozen": jnp.zeros(2)}
        np.testing.assert_allclose(got[unit], jax.jvp(loss, (P,), (direction,))[1] ** 2, rtol=1e-4)
    assert taylor.comparable
    assert "frozen" not in taylor.score(P)
