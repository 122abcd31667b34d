"""The distance of Gaussians against the closed form, and against SciPy's square root."""

import numpy as np
import pytest
import scipy.linalg

from compressjax import generate


def test_the_distance_is_that_of_the_moments():
    draw = np.random.default_rng(0)
    real, fake = draw.normal(size=(50, 4)) @ draw.normal(size=(4, 4)), 1 + draw.normal(size=(40, 4))
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    exact = np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert generate.frechet_distance(real, fake) == pytest.approx(exact, rel=1e-8)
    assert generate.frechet_distance(fake, real) == pytest.approx(exact, rel=1e-8)
    assert generate.frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-9)
    flat = np.zeros((9, 3))  # a collapsed generator has no covariance
    assert generate.frechet_distance(real[:, :3], flat) == pytest.approx(
        np.sum(real[:, :3].mean(0) ** 2) + np.trace(a[:3, :3])
    )


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(3, 4\)"):
        generate.frechet_distance(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="not finite"):
        generate.frechet_distance(np.ones((3, 2)), np.full((3, 2), np.nan))
