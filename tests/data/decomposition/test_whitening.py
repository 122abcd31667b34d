"""Whitened features have the identity as covariance; ZCA is symmetric."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from compressjax import data
from tests.data import laws


def test_both_kinds_against_closed_forms(draw):
    rows = (draw.normal(size=(150, 4)) @ draw.normal(size=(4, 4)) + 5).astype(np.float32)
    zca = laws.check(data.whitening(ridge=1e-9), rows, 1e-4)
    covariance = np.cov(rows.astype(np.float64), rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(zca.matrix, (vectors / np.sqrt(values)) @ vectors.T, atol=5e-3)
    np.testing.assert_allclose(np.cov(zca.transform(rows), rowvar=False), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(zca.inverse_transform(zca.transform(rows)), rows, atol=1e-3)
    assert float(zca.reconstruction_error(rows)) < 1e-6
    by_pca = data.fit(data.whitening("pca", ridge=1e-9), rows)
    laws.assert_close(
        np.abs(by_pca.transform(rows)), np.abs(PCA(whiten=True).fit_transform(rows.astype(np.float64))), 5e-3
    )
    matrix, offset = by_pca.affine()
    laws.assert_close(rows @ matrix + offset[None], by_pca.transform(rows), 1e-4)


def test_constant_features_and_bad_arguments():
    rows = np.array([[1.0, 7.0], [3.0, 7.0]])
    z = data.fit(data.whitening(), rows).transform(rows)
    np.testing.assert_allclose(z, [[-(0.5**0.5), 0], [0.5**0.5, 0]], atol=1e-3)
    with pytest.raises(ValueError, match="kind='zac' is unknown"):
        data.whitening("zac")
    with pytest.raises(ValueError, match="ridge=0 must be above 0"):
        data.whitening(ridge=0)
    with pytest.raises(ValueError, match="whitening: 1 rows"):
        data.fit(data.whitening(), rows[:1])
