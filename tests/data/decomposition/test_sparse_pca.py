"""Sparse directions against scikit-learn's objective."""

import numpy as np
import pytest
from sklearn.decomposition import SparsePCA

from compressjax import data
from tests.data import laws


def objective(x, fitted_components, alpha):
    """Of `1/2 |x - u v|^2 + alpha |v|_1` at the best `u` with columns in the unit ball, by many sweeps."""
    v = np.asarray(fitted_components, np.float64)
    norms = np.linalg.norm(v, axis=1, keepdims=True)
    best = np.inf
    for scale in np.geomspace(0.05, 1, 40) * np.linalg.norm(x):
        w = v / np.maximum(norms, 1e-12) * scale
        u = x @ np.linalg.pinv(w)
        u = u / np.maximum(np.linalg.norm(u, axis=0), 1)
        best = min(best, 0.5 * np.sum((x - u @ w) ** 2) + alpha * np.abs(w).sum())
    return best


def test_one_direction_is_that_of_scikit_learn():
    rows = laws.digits()[:200, 16:32]
    fitted = laws.check(data.sparse_pca(1, 60.0), rows, 1e-3)
    reference = SparsePCA(1, alpha=60.0, method="cd", tol=1e-10, max_iter=1000, random_state=0).fit(
        rows.astype(np.float64)
    )
    laws.assert_close(np.abs(fitted.components), np.abs(reference.components_), 5e-3)
    assert 0 < (np.asarray(fitted.components) == 0).mean() < 1
    laws.assert_close(np.abs(fitted.transform(rows)), np.abs(reference.transform(rows)), 1e-2)


def test_several_directions_reach_the_objective_of_scikit_learn():
    rows = laws.digits()[:200, 16:32]
    centered = rows - rows.mean(0)
    fitted = data.fit(data.sparse_pca(3, 30.0, steps=300), rows)
    reference = SparsePCA(3, alpha=30.0, method="cd", tol=1e-10, max_iter=1000, random_state=0).fit(
        rows.astype(np.float64)
    )
    ours, theirs = (objective(centered, c, 30.0) for c in (fitted.components, reference.components_))
    assert ours < 1.02 * theirs
    matrix, offset = fitted.affine()
    laws.assert_close(rows @ matrix + offset[None], fitted.transform(rows), 1e-4)
    assert float(fitted.reconstruction_error(rows)) < np.mean(np.sum(centered**2, 1))


def test_without_penalty_it_spans_the_principal_components():
    rows = laws.digits()[:100, 20:28]
    fitted, whole = data.fit(data.sparse_pca(2, 0.0, ridge=0), rows), data.fit(data.pca(2), rows)
    assert float(fitted.reconstruction_error(rows)) == pytest.approx(float(whole.reconstruction_error(rows)), rel=1e-3)
    with pytest.raises(ValueError, match="penalty=-1"):
        data.sparse_pca(2, -1)
    with pytest.raises(ValueError, match="sparse_pca: 1 rows"):
        data.fit(data.sparse_pca(1), rows[:1])
