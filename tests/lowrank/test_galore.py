"""GaLore: full rank is the optimizer itself, projections by hand, the size of the state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import lowrank
from tests import helpers


def test_steps_by_hand():
    """Two steps of Adam in the directions of the first gradient, from the left and from the right, in NumPy."""
    grads = [{"wide": helpers.array(s, (4, 9)), "tall": helpers.array(s + 9, (9, 4)), "bias": helpers.array(s, (9,))}
             for s in (0, 1)]  # fmt: skip
    tx = lowrank.galore(optax.adam(0.1, eps=1e-8), 2, every=5, scale=0.5)
    plain = optax.adam(0.1, eps=1e-8)
    state, update = tx.init(grads[0]), jax.jit(tx.update)
    u, _, _ = np.linalg.svd(np.asarray(grads[0]["wide"]), full_matrices=False)
    _, _, vt = np.linalg.svd(np.asarray(grads[0]["tall"]), full_matrices=False)
    left, right = u[:, :2], vt[:2].T

    def low(g):
        return {"wide": left.T @ np.asarray(g["wide"]), "tall": np.asarray(g["tall"]) @ right, "bias": g["bias"]}

    inner = plain.init(low(grads[0]))
    for g in grads:
        steps, state = update(g, state)
        wanted, inner = plain.update(low(g), inner)
        np.testing.assert_allclose(steps["wide"], 0.5 * left @ wanted["wide"], atol=1e-4)
        np.testing.assert_allclose(steps["tall"], 0.5 * wanted["tall"] @ right.T, atol=1e-4)
        np.testing.assert_allclose(steps["bias"], wanted["bias"], atol=1e-5)
    assert state.inner[0].nu["wide"].shape == (2, 9)
    assert state.inner[0].nu["tall"].shape == (9, 2)
    assert state.directions["bias"] is None


def test_directions_follow_the_gradients():
    """Gradients of rank 2 lose nothing: with SGD, the step is that of SGD."""
    tx = lowrank.galore(optax.sgd(1.0), 2, every=1, scale=1.0)
    state, update = tx.init({"k": jnp.ones((3, 2, 8))}), jax.jit(tx.update)
    for seed in range(2):
        g = (helpers.array(seed, (6, 2)) @ helpers.array(seed + 5, (2, 8))).reshape(3, 2, 8)
        steps, state = update({"k": g}, state, {"k": g})
        np.testing.assert_allclose(steps["k"], -g, atol=1e-4)


def test_small_leaves_stay_whole():
    tx = lowrank.galore(optax.sgd(1.0), 4)
    state = tx.init({"k": jnp.ones((4, 8))})
    assert state.directions["k"] is None
    assert tx.update({"k": jnp.ones((4, 8))}, state)[0]["k"].tolist() == (-jnp.ones((4, 8))).tolist()
    for settings in ({"rank": 0}, {"rank": 1, "every": 0}, {"rank": 1, "scale": 0}):
        with pytest.raises(ValueError, match="galore: rank="):
            lowrank.galore(optax.sgd(1.0), **settings)
