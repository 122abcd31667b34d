"""Merged moments keep their digits where sums of squares lose them."""

import jax
import numpy as np
import pytest

from compressjax.data import _moments
from compressjax.numerics._counts import exact, known


def test_large_means_cost_no_digits():
    rows = (1e4 + np.random.default_rng(0).normal(size=(4000, 3))).astype(np.float32)
    state = _moments.no_moments(3, whole=True)
    for part in np.split(rows, 40):
        state = jax.jit(_moments.merged)(state, _moments.moments_of(part, whole=True))
    exact_ = np.cov(rows.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(state.scatter / 3999, exact_, rtol=2e-2, atol=2e-2)
    naive = (rows.T @ rows - 4000 * np.outer(rows.mean(0), rows.mean(0))) / 3999
    assert np.abs(naive - exact_).max() > 10 * np.abs(state.scatter / 3999 - exact_).max()
    assert known(state.rows) == 4000


def test_more_rows_than_int32_holds_are_counted():
    many = _moments.Moments(exact(3 * 2**31), np.ones(1, np.float32), np.ones(1, np.float32))
    both = _moments.merged(many, many)
    assert known(both.rows) == 6 * 2**31
    assert both.mean[0] == pytest.approx(1.0)


def test_the_diagonal_is_that_of_the_whole():
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    whole, part = (_moments.moments_of(rows, whole=w) for w in (True, False))
    np.testing.assert_allclose(np.diag(whole.scatter), part.scatter, rtol=1e-5)


def test_the_host_and_jit_agree(draw):
    rows = (100 + draw.normal(size=(300, 5))).astype(np.float32)
    host = _moments.merged(_moments.moments_of(rows[:130], whole=True), _moments.moments_of(rows[130:], whole=True))
    assert isinstance(host.scatter, np.ndarray)
    jitted = jax.jit(lambda a, b: _moments.merged(_moments.moments_of(a, True), _moments.moments_of(b, True)))
    for ours, theirs in zip(host[1:], jitted(rows[:130], rows[130:])[1:]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(host.mean, rows.astype(np.float64).mean(0), rtol=1e-6)
    assert known(host.rows) == 300
    assert _moments.merged(_moments.no_moments(5, whole=True), host).mean == pytest.approx(host.mean)


def test_columns_that_are_constant_or_far_from_zero_are_centered_first(draw):
    rows = draw.normal(size=(500, 3)).astype(np.float32)
    near = _moments.moments_of(rows, whole=True).scatter
    np.testing.assert_allclose(near, np.cov(rows.astype(np.float64), rowvar=False) * 499, rtol=1e-4, atol=1e-3)
    for column in (
        np.full(500, 3e3, np.float32),
        3e3 + rows[:, 0],
        np.where(np.arange(500) < 300, 0, 7e3).astype(np.float32),
    ):
        joint = np.stack([rows[:, 1], column], 1)
        exact_ = np.cov(joint.astype(np.float64), rowvar=False) * 499
        found = _moments.moments_of(joint, whole=True).scatter
        np.testing.assert_allclose(found, exact_, rtol=1e-3, atol=1e-5 * np.abs(exact_).max() + 1e-2)
