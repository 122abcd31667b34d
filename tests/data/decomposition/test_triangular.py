"""PCA by singular values and in small memory, against scikit-learn and the golden values."""

import numpy as np
import pytest
from sklearn.decomposition import PCA, IncrementalPCA

from compressjax import data
from tests.data import laws


def test_singular_values_are_exact_where_squares_are_not(draw):
    """Deviations of 1 and 1e-5: their squares are ten digits apart, more than float32 has."""
    rows = (draw.normal(size=(200, 4)) * [1.0, 1e-2, 1e-3, 1e-5]).astype(np.float32)
    fitted = laws.check(data.svd_pca(3), rows, 1e-4)
    exact = np.linalg.svd((rows - rows.mean(0)).astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(data.fit(data.svd_pca(4), [rows[:90], rows[90:]]).singular_values, exact, rtol=1e-3)
    np.testing.assert_allclose(fitted.singular_values, exact[:3], rtol=1e-4)


def test_it_is_that_of_scikit_learn_with_large_means():
    rows = laws.digits()[:300] + 100
    fitted = data.fit(data.svd_pca(5, whiten=True), np.split(rows, 3))
    reference = PCA(5, whiten=True, svd_solver="full").fit(rows.astype(np.float64))
    laws.assert_close(fitted.transform(rows), reference.transform(rows), 2e-3)
    laws.assert_close(fitted.explained_variance_ratio, reference.explained_variance_ratio_, 1e-4)
    assert float(fitted.noise_variance) == pytest.approx(reference.noise_variance_, rel=1e-3)
    assert len(data.fit(data.svd_pca(0.9), rows).components) == PCA(0.9).fit(rows).n_components_


def test_incremental_is_that_of_scikit_learn_for_the_same_batches():
    rows = laws.digits()[:800] + 20
    batches = [rows[i : i + 100] for i in range(0, 800, 100)]
    fitted = data.fit(data.incremental_pca(8), batches)
    reference = IncrementalPCA(8, batch_size=100).fit(rows.astype(np.float64))
    laws.assert_close(fitted.singular_values, reference.singular_values_, 1e-4)
    laws.assert_close(np.abs(fitted.components @ reference.components_.T), np.eye(8), 2e-3)
    laws.assert_close(fitted.explained_variance_ratio, reference.explained_variance_ratio_, 1e-3)
    laws.assert_close(fitted.mean, rows.mean(0), 1e-5)
    wider = data.fit(data.incremental_pca(8, extra=30), batches)
    whole = data.fit(data.pca(8), rows)
    error = [float(f.reconstruction_error(rows)) for f in (whole, wider, fitted)]
    assert error[0] <= error[1] * (1 + 1e-5) <= error[2] * (1 + 1e-5) < 1.02 * error[0]


# Mean squared error of a pixel by the size of batches, scikit-learn 1.9.1 on the digits; 4.9143 for PCA.
GOLDEN = {50: 4.9366, 100: 4.9555, 200: 4.9270, 500: 4.9248}


@pytest.mark.parametrize(
    "size", [200, *(pytest.param(size, marks=pytest.mark.thorough) for size in GOLDEN if size != 200)]
)
def test_errors_of_the_digits_are_the_golden_ones(size):
    rows = laws.digits()
    fitted = data.fit(data.incremental_pca(10), [rows[i : i + size] for i in range(0, len(rows), size)])
    assert float(fitted.reconstruction_error(rows)) / 64 == pytest.approx(GOLDEN[size], abs=1e-4)


def test_merged_parts_are_near_the_whole():
    rows = laws.digits()[:400]
    reducer = data.incremental_pca(8, extra=56)  # all 64 directions: nothing is lost
    laws.assert_close(laws.merged_passes(reducer, np.split(rows, [100])), data.fit(data.pca(8), rows), 2e-3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="components=0 must be at least 1"):
        data.incremental_pca(0)
    with pytest.raises(ValueError, match="incremental_pca: 3 rows of 8 features do not have components=4"):
        data.fit(data.incremental_pca(4), np.ones((3, 8)))
    with pytest.raises(ValueError, match="svd_pca: 3 rows of 8 features do not have components=4"):
        data.fit(data.svd_pca(4), np.ones((3, 8)))
