"""Soft codes: they start at the weights, and hard ones are neighbors on the grid."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.quant._grid import fit, make_grid, nearest
from compressjax.quant._soften import Schedule, descend, harden, neighbor, regularizer, soften, start
from tests import helpers

W = helpers.array(0, (8, 4)).at[1, 2].set(0.0)


def room(symmetric):
    grid = make_grid("test", 3, symmetric=symmetric)
    scale, zero = fit(W, (1, 4), grid)
    return start(W, scale, zero, grid), nearest(W, scale, zero, grid)


@pytest.mark.parametrize("symmetric", [True, False])
def test_soft_codes_start_at_the_weights_and_hard_ones_at_the_nearest(symmetric):
    made, rounded = room(symmetric)
    inside = (np.asarray(W) > np.asarray(neighbor(made, 0.0)) - 1e-6) & (
        np.asarray(W) < np.asarray(neighbor(made, 1.0))
    )
    assert inside.mean() > 0.7
    np.testing.assert_allclose(np.asarray(soften(made, made.start))[inside], np.asarray(W)[inside], atol=1e-5)
    hard = jnp.where(harden(made.start), neighbor(made, 1.0), neighbor(made, 0.0))
    np.testing.assert_allclose(hard, rounded, atol=1e-6)
    assert float(soften(made, made.start + 3.0)[1, 2]) == float(hard[1, 2]) == 0.0


def test_the_penalty_is_that_of_the_paper():
    made, _ = room(True)
    rule = Schedule(100, 0.01, 0.5, 0)
    assert float(regularizer(rule, made, made.start, jnp.int32(10))) == 0.0
    h = np.clip(1.2 / (1 + np.exp(-np.asarray(made.start, np.float64))) - 0.1, 0, 1)[np.asarray(made.kept)]
    for step, beta in ((20, 20.0), (60, 11.0), (100, 2.0)):
        want = 0.5 * np.sum(1 - np.abs(2 * h - 1) ** beta)
        assert float(regularizer(rule, made, made.start, jnp.int32(step))) == pytest.approx(want, rel=1e-4)
    assert np.isfinite(jax.grad(lambda v: regularizer(rule, made, v, jnp.int32(50)))(jnp.zeros_like(W))).all()


def test_after_the_passes_no_single_weight_is_better_on_its_other_side():
    made, _ = room(True)
    x = np.asarray(helpers.array(1, (30, 8)), np.float64) @ (np.eye(8) + 1)
    lower, upper = (np.asarray(neighbor(made, side), np.float64) for side in (0.0, 1.0))
    loss = lambda q: np.sum((x @ (q - np.asarray(W, np.float64))) ** 2, axis=0)  # noqa: E731
    moments = jnp.asarray(x.T @ x, jnp.float32)
    found = descend(harden(made.start), W, moments, neighbor(made, 0.0), neighbor(made, 1.0), 20)
    q = np.asarray(found, np.float64)
    first = loss(np.where(np.asarray(harden(made.start)), upper, lower))
    assert (loss(q) <= first + 1e-6).all()
    assert loss(q).sum() < 0.5 * first.sum()
    for i in range(8):
        other = q.copy()
        other[i] = np.where(np.isclose(q[i], lower[i]), upper[i], lower[i])
        assert (loss(other) >= loss(q) - 1e-4 * loss(q).max()).all()
    best = min(loss(np.where(np.array(bits)[:, None], upper, lower))[0] for bits in itertools.product((0, 1), repeat=8))
    assert best <= loss(q)[0] <= 4 * best
