"""GraSP against an explicit Hessian, and the sign of the first-order change that it predicts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, saliency
from tests.saliency.networks import batches, loss, make, total


def test_is_theta_times_hessian_times_gradient():
    params, data = make(), batches(3)
    flat = core.values(params)
    vector, unravel = jax.flatten_util.ravel_pytree(flat)
    mean = lambda v: total(core.with_values(params, unravel(v)), data)  # noqa: E731
    want = unravel(vector * (jax.hessian(mean)(vector) @ jax.grad(mean)(vector)))
    for path, got in saliency.grasp(loss, data).score(params).items():
        np.testing.assert_allclose(got, want[path], rtol=1e-4, atol=1e-7)


@pytest.mark.thorough
def test_removing_a_high_score_lowers_the_norm_of_the_gradient():
    # L = a w^4 / 4 each, g = a w^3, H = 3 a w^2: the score is 3 a^2 w^6, and |g|^2 / 2 falls when w shrinks.
    quartic = lambda p, a: jnp.sum(a * p["w"] ** 4) / 4  # noqa: E731
    a, w = jnp.array([1.0, 1.0]), jnp.array([1.0, 0.5])
    scores = saliency.grasp(quartic, [a]).score({"w": w})["w"]
    np.testing.assert_allclose(scores, 3 * a**2 * w**6, rtol=1e-6)
    half = lambda w: jnp.sum(jax.grad(lambda w: quartic({"w": w}, a))(w) ** 2) / 2  # noqa: E731
    for i in range(2):
        step = 1e-3 * w[i]
        np.testing.assert_allclose((half(w) - half(w.at[i].add(-step))) / 1e-3, scores[i], rtol=1e-2)
