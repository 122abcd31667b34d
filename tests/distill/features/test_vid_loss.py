"""The Gaussian of VID against SciPy, and its best variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from compressjax import distill


def test_value(key: jax.Array) -> None:
    a, b, c = jax.random.split(key, 3)
    student, teacher = jax.random.normal(a, (6, 3)), jax.random.normal(b, (6, 2))
    params = {**distill.init_vid(c, 3, 2), "alpha": jnp.array([0.5, -1.0])}
    mean = np.asarray(student, np.float64) @ np.asarray(params["kernel"])
    sigma = np.sqrt(np.log1p(np.exp([0.5, -1.0])) + 1e-5)
    likelihood = scipy.stats.norm.logpdf(teacher, mean, sigma)
    want = np.mean(-likelihood) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(distill.vid_loss(student, teacher, params), want, rtol=1e-4)


def test_the_variance_starts_as_asked_and_ends_at_the_error(key: jax.Array) -> None:
    student, teacher = jnp.zeros((6, 3)), jax.random.normal(key, (6, 1))
    second = float(jnp.mean(teacher**2))
    params = distill.init_vid(key, 3, 1, variance=second)
    slope = jax.grad(lambda p: distill.vid_loss(student, teacher, p))(params)
    assert abs(float(slope["alpha"][0])) < 1e-5  # the likelihood is highest there
    for variance, match in ((0, "variance=0"), (1e-5, "variance=1e-05 must be above 1e-05, the least")):
        with pytest.raises(ValueError, match=match):
            distill.init_vid(key, 3, 1, variance=variance)
    small = distill.init_vid(key, 3, 1, variance=1.5e-5)["alpha"]
    np.testing.assert_allclose(np.log1p(np.exp(np.asarray(small, np.float64))) + 1e-5, 1.5e-5, rtol=1e-3)
