"""Fisher-weighted factors against the decomposition of the weighted matrix."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank


def loss(params, rows):
    return jnp.mean(jnp.sum((rows[:, :-1] @ params["kernel"] * params["gain"] - rows[:, -1:]) ** 2, axis=1) / 2)


def test_rows_weigh_as_much_as_their_gradients(draw):
    rows = draw.normal(size=(12, 9)) * np.append(np.logspace(1, -1, 8), 1)
    kernel = draw.normal(size=(8, 6))
    params = {"kernel": jnp.asarray(kernel, jnp.float32), "gain": jnp.full((1, 6), 2.0)}
    batches = [jnp.asarray(rows[:5], jnp.float32), jnp.asarray(rows[5:], jnp.float32)]
    node = core.compress(params, {"kernel": lowrank.fisher_svd(loss, batches, rank=2)})["kernel"]
    # The gradient of an example in closed form: outer(x, 2 (2 x W - t)).
    x, t = rows[:, :-1], rows[:, -1:]
    gradients = np.einsum("ni,no->nio", x, 2 * (2 * x @ kernel - t))
    weight = np.sqrt(np.sum(gradients**2, axis=(0, 2)))[:, None]
    u, s, vt = np.linalg.svd(weight * kernel, full_matrices=False)
    near = (u[:, :2] * s[:2]) @ vt[:2]
    np.testing.assert_allclose(weight * node.materialize(), near, atol=1e-4 * np.abs(near).max())


def test_batches_are_needed():
    params = {"kernel": jnp.ones((8, 6)), "gain": jnp.ones((1, 6))}
    with pytest.raises(ValueError, match="fisher_svd: batches is empty"):
        core.compress(params, lowrank.fisher_svd(loss, [], rank=2))
