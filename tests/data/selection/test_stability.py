"""Stability selection: frequencies are those of scikit-learn's lasso on the same halves."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import Lasso

from compressjax import data
from compressjax.data.selection._stability import frequencies
from tests.data import laws


def planted(draw):
    x = draw.normal(size=(60, 8)).astype(np.float32)
    return x, (2 * x[:, 1] - x[:, 4] + 0.8 * draw.normal(size=60)).astype(np.float32)


def test_frequencies_are_those_of_scikit_learn(draw, key):
    x, y = planted(draw)
    found = frequencies(x.astype(np.float64), y, 0.2, 8, None, key)
    z = (x - x.mean(0)) / x.std(0)
    kept = np.zeros((8, 8))
    for b, own in enumerate(jax.random.split(key, 4)):
        order = np.asarray(jax.random.permutation(own, 60))
        for i, half in enumerate((order[:30], order[30:])):
            kept[2 * b + i] = Lasso(0.2, tol=1e-9).fit(z[half].astype(np.float64), y[half]).coef_ != 0
    np.testing.assert_allclose(found, kept.mean(0), atol=1e-9)


def test_what_matters_is_selected(draw):
    x, y = planted(draw)
    fitted = laws.check_pairs(data.select_stable(0.4, halves=8, rows=60), x, y)
    assert fitted.places.tolist() == [1, 4]
    assert data.fit(data.select_stable(0.3, k=1, halves=8, rows=60), (x, y > 0)).places.tolist() == [1]
    with pytest.raises(ValueError, match="no feature is kept in 60% of the halves, the most frequent in 0%"):
        data.fit(data.select_stable(9.0, halves=8, rows=60), (x, y))
    with pytest.raises(ValueError, match="halves=3 must be even"):
        data.select_stable(0.1, halves=3)
    with pytest.raises(ValueError, match="threshold=0.5 in"):
        data.select_stable(0.1, threshold=0.5)
