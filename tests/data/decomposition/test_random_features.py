"""Random features against the Gaussian kernel and scikit-learn's kernel PCA."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import KernelPCA
from sklearn.metrics.pairwise import rbf_kernel

from compressjax import data
from tests.data import laws

ROWS = (load_iris().data[::3] / 2).astype(np.float32)


def test_products_are_nearly_the_kernel(key):
    z = np.asarray(laws.check(data.random_features(2048, key, gamma=0.1), ROWS).transform(ROWS))
    assert np.abs(z @ z.T - rbf_kernel(ROWS, gamma=0.1)).max() < 6 / 2048**0.5


def test_components_are_nearly_those_of_the_kernel(key):
    laws.check(data.kernel_pca(2, key, count=16, gamma=0.02), ROWS, 1e-3)
    fitted = data.fit(data.kernel_pca(2, key, count=256, gamma=0.02), ROWS)
    reference = KernelPCA(2, kernel="rbf", gamma=0.02)
    z = reference.fit_transform(ROWS.astype(np.float64))
    np.testing.assert_allclose(fitted.components.singular_values**2, reference.eigenvalues_, rtol=0.2)
    assert abs(np.corrcoef(np.asarray(fitted.transform(ROWS))[:, 0], z[:, 0])[0, 1]) > 0.95


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match="gamma=0 above 0"):
        data.random_features(8, key, gamma=0)
    with pytest.raises(ValueError, match="components=9 must be at most count=8"):
        data.kernel_pca(9, key, count=8)
