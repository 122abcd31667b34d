"""Coordinate descent: screening changes no result, and never drops what matters."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.data.sparse import _descent


@pytest.fixture
def problem(draw):
    x = draw.normal(size=(60, 12)) + draw.normal(size=(60, 1))  # correlated
    y = x[:, :3] @ [3.0, -2, 1] + draw.normal(size=60)
    x, y = x - x.mean(0), y - y.mean()
    return _descent.Problem(*(jnp.asarray(m, jnp.float32) for m in (x.T @ x / 60, x.T @ y / 60, y @ y / 60)))


@pytest.mark.thorough
@pytest.mark.parametrize("share", [1.0, pytest.param(0.5, marks=pytest.mark.thorough)])
def test_screening_changes_nothing(share, problem):
    top = float(jnp.abs(problem[1]).max()) / share
    penalties = jnp.asarray(top * np.geomspace(1, 1e-2, 12), jnp.float32)
    found = {rule: _descent.path(problem, penalties, share, rule, 1e-7, 100) for rule in _descent.SCREENING}
    exact = found["none"]
    assert (exact.kept[1:] == 12).all()
    for rule in ("strong", "gap-safe"):
        np.testing.assert_allclose(found[rule].weights, exact.weights, atol=2e-3)
        assert (found[rule].kept >= (np.abs(exact.weights) > 1e-3).sum(1)).all()
        assert found[rule].kept.sum() < exact.kept.sum()
        assert (found[rule].gaps <= 1e-6 * problem[2]).all()
    assert not exact.weights[0].any()  # at the largest penalty nothing is left


def test_the_gap_bounds_the_error(problem):
    penalty = jnp.asarray([0.5])

    def value(w):
        return float(problem[2] - 2 * w @ problem[1] + w @ problem[0] @ w) / 2 + 0.5 * np.abs(w).sum()

    best = _descent.path(problem, penalty, 1.0, "none", 0.0, 200).weights[0]
    rough = _descent.path(problem, penalty, 1.0, "none", 0.3, 1)
    assert value(np.asarray(rough.weights[0])) - value(np.asarray(best)) <= float(rough.gaps[0]) + 1e-5
