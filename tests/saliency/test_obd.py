"""OBD: exact on a quadratic, and the diagonal of an explicit Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, saliency
from tests.saliency.networks import batches, loss, make, total


def test_predicts_the_loss_of_a_separable_quadratic():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        best, curve = jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.uniform(0.5, 2, (4, 3)))
        quadratic = lambda p, c: jnp.sum(c * (p["w"] - best) ** 2) / 2 + 7  # noqa: E731
        found = saliency.obd(quadratic, [curve]).score({"w": best})["w"]
        for i in np.ndindex(4, 3):
            rise = quadratic({"w": best.at[i].set(0.0)}, curve) - quadratic({"w": best}, curve)
            np.testing.assert_allclose(found[i], rise, rtol=1e-8)


def explicit(params, data):
    flat = core.values(params)
    vector, unravel = jax.flatten_util.ravel_pytree(flat)
    hessian = jax.hessian(lambda v: total(core.with_values(params, unravel(v)), data))(vector)
    return vector, hessian, unravel


def test_is_the_diagonal_of_the_hessian():
    params, data = make(), batches(2)
    vector, hessian, unravel = explicit(params, data)
    want = unravel(jnp.diagonal(hessian) * vector**2 / 2)
    for path, got in saliency.obd(loss, data).score(params).items():
        np.testing.assert_allclose(got, want[path], rtol=1e-4, atol=1e-7)


def test_probes_estimate_it(key):
    params, data = make(), batches(1)
    vector, hessian, unravel = explicit(params, data)
    probes = 400
    got = saliency.obd(loss, data, probes=probes, key=key).score(params)
    want = unravel(jnp.diagonal(hessian) * vector**2 / 2)
    # Variance of one probe's entry: the squares of the row off the diagonal.
    spread = unravel(jnp.sqrt((jnp.sum(hessian**2, 1) - jnp.diagonal(hessian) ** 2) / probes) * vector**2 / 2)
    for path in got:
        assert np.all(np.abs(got[path] - want[path]) <= 5 * spread[path] + 1e-6)


def test_probes_need_a_key():
    with pytest.raises(ValueError, match="probes=3, key=None"):
        saliency.obd(loss, batches(1), probes=3)
