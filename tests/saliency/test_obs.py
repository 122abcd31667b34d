"""OBS scores on blocks against direct inverses; exact on a quadratic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, saliency
from tests.saliency.networks import batches, loss, make


@pytest.mark.turns(2)
@pytest.mark.parametrize("block", [1, 4, 7, 1000])
def test_blocks_against_direct_inverses(block):
    with jax.enable_x64(True):
        wider = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float64), tree)  # noqa: E731
        params, data = wider(make()), wider(batches(2))
        flat = core.values(params)
        rows = {path: [] for path in flat}
        for x, y in data:
            for i in range(len(x)):
                for path, g in core.values(jax.grad(loss)(params, (x[i : i + 1], y[i : i + 1]))).items():
                    rows[path].append(np.asarray(g).ravel())
        for path, got in saliency.obs(loss, data, block=block, damping=1e-3).score(params).items():
            g, w = np.stack(rows[path]), np.asarray(flat[path]).ravel()
            want = np.zeros(w.size)
            for start in range(0, w.size, block):
                part = slice(start, min(start + block, w.size))
                hessian = 1e-3 * np.eye(w[part].size) + g[:, part].T @ g[:, part] / len(g)
                want[part] = w[part] ** 2 / (2 * np.diagonal(np.linalg.inv(hessian)))
            np.testing.assert_allclose(got.ravel(), want, rtol=1e-7)


def test_predicts_the_loss_of_a_quadratic_after_the_best_change():
    # Least squares at its minimum with residuals +-1: the Fisher matrix of (x w - y)^2 / 2 is the Hessian.
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x = np.repeat(rng.normal(size=(20, 5)), 2, axis=0)
        best = rng.normal(size=5)
        y = x @ best + np.tile([1.0, -1.0], 20)
        squares = lambda p, b: jnp.mean((b[0] @ p["w"] - b[1]) ** 2) / 2  # noqa: E731
        data = (jnp.asarray(x), jnp.asarray(y))
        found = saliency.obs(squares, [data], damping=1e-12).score({"w": jnp.asarray(best)})["w"]
        base = float(squares({"w": jnp.asarray(best)}, data))
        for q in range(5):
            left = np.delete(np.arange(5), q)
            refitted = np.zeros(5)
            refitted[left] = np.linalg.lstsq(x[:, left], y, rcond=None)[0]
            rise = float(squares({"w": jnp.asarray(refitted)}, data)) - base
            np.testing.assert_allclose(found[q], rise, rtol=1e-3)


def test_bad_settings():
    for settings in ({"block": 0}, {"damping": 0.0}):
        with pytest.raises(ValueError, match="block=.* damping="):
            saliency.obs(loss, batches(1), **settings)
    with pytest.raises(ValueError, match="batches is empty"):
        saliency.obs(loss, []).score(make())
