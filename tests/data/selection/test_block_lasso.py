"""The lasso against golden values of scikit-learn, its forms for several outputs and for groups against theirs."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import MultiTaskLasso

from compressjax.data.selection import _block_lasso as bl

SOLVE = jax.jit(bl.block_lasso)


def moments(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return (x.T @ x / len(x)).astype(np.float32), (x.T @ y / len(x)).astype(np.float32)


def test_diabetes_has_the_golden_coefficients():
    x, y = load_diabetes(return_X_y=True)
    gram, cross = moments(x, y[:, None])
    for penalty, count, value in [(0.1, 7, 1629.054543), (0.5, 4, 2152.122993), (1.0, 3, 2586.943193)]:
        w = np.asarray(SOLVE(gram, cross, np.arange(10), penalty, np.ones(10)), np.float64)[:, 0]
        assert np.count_nonzero(w) == count
        rest = (y - y.mean()) - (x - x.mean(0)) @ w
        assert (rest**2).mean() / 2 + penalty * np.abs(w).sum() == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(w[[2, 3, 8]], [367.7016, 6.3097, 307.6021], rtol=1e-4)


def test_several_outputs_are_those_of_scikit_learn(draw):
    x, y = draw.normal(size=(40, 10)), draw.normal(size=(40, 3))
    y[:, 0] += 2 * x[:, 1]
    gram, cross = moments(x, y)
    w = SOLVE(gram, cross, np.arange(10), 0.2, np.ones(10))
    np.testing.assert_allclose(w, MultiTaskLasso(0.2, tol=1e-9).fit(x, y).coef_.T, atol=2e-5)


def test_groups_keep_the_optimality_conditions(draw):
    x, y = draw.normal(size=(40, 10)), draw.normal(size=(40, 1))
    y += x[:, :3].sum(1, keepdims=True)
    groups, weights = bl.check_groups("g", ["a"] * 3 + ["b"] * 4 + ["c"] * 3, 10)
    gram, cross = moments(x, y)
    w = np.asarray(SOLVE(gram, cross, groups, 0.3, weights))
    slope = cross - gram @ w
    for g in range(3):
        own, limit = groups == g, 0.3 * weights[g]
        if (w[own] != 0).any():
            np.testing.assert_allclose(slope[own], limit * w[own] / np.linalg.norm(w[own]), atol=1e-5)
        else:
            assert np.linalg.norm(slope[own]) <= limit
    assert {bool((w[groups == g] != 0).any()) for g in range(3)} == {True, False}
    with pytest.raises(ValueError, match=r"groups of shape \(2,\) must have one entry for each of 10"):
        bl.check_groups("g", [0, 1], 10)
