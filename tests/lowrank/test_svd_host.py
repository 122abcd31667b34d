"""The decomposition by the smaller Gram matrix against LAPACK's."""

import numpy as np
import pytest

from compressjax.lowrank._svd_host import svd_on_host


@pytest.mark.parametrize("shape", [(12, 12), (6, 20), (20, 6), (2, 9, 4), (3, 4, 9)])
def test_is_lapacks(draw, shape):
    matrices = draw.normal(size=shape).astype(np.float32)
    left, values, right = svd_on_host(matrices)
    np.testing.assert_allclose(values, np.linalg.svd(matrices.astype(np.float64), compute_uv=False), rtol=1e-5)
    np.testing.assert_allclose((left * values[..., None, :]) @ right, matrices, atol=1e-5)
    for side in (np.swapaxes(left, -1, -2) @ left, right @ np.swapaxes(right, -1, -2)):
        np.testing.assert_allclose(side, np.broadcast_to(np.eye(min(shape[-2:])), side.shape), atol=1e-5)


def test_small_values_keep_the_product_exact(draw):
    """Roots of eigenvalues would stop at 1e-4 of the largest value in float32, and lengths do not."""
    left, right = (np.linalg.qr(draw.normal(size=(n, 4)))[0] for n in (8, 32))
    matrix = ((left * [1, 1e-2, 1e-4, 1e-6]) @ right.T).astype(np.float32)
    _, values, _ = svd_on_host(matrix)
    np.testing.assert_allclose(values[:3], [1, 1e-2, 1e-4], rtol=1e-2)
    assert values[3] < 2e-6


def test_zeros_have_no_directions():
    _, values, right = svd_on_host(np.zeros((2, 5), np.float32))
    assert values.tolist() == [0, 0]
    assert np.isfinite(right).all()
