"""PowerSGD against a loop in NumPy, and against the SVD."""

import jax
import numpy as np
import pytest

from compressjax.gradients import exchange, power
from tests.gradients.workers import AXIS, WORKERS, gradients, once, run


def test_steps_are_those_of_a_loop():
    grads = gradients(4)
    updates, state = run(exchange(power({0: 1, 2: 2}), AXIS), grads)
    start = np.asarray(exchange(power(2)).init({"kernel": np.zeros((6, 5))}).shared["kernel"])
    errors = np.zeros((WORKERS, 6, 5))
    for step, (g, got) in enumerate(zip(grads["kernel"], updates["kernel"], strict=True)):
        rank, total = (1 if step < 2 else 2), g + errors
        left = np.linalg.qr((total @ start[:, :rank]).mean(0))[0]
        rights = total.swapaxes(1, 2) @ left
        errors = total - left @ rights.swapaxes(1, 2)
        start = np.concatenate([rights.mean(0), start[:, rank:]], 1)
        np.testing.assert_allclose(got[0], left @ rights.mean(0).T, atol=2e-5)
    np.testing.assert_allclose(state.shared["kernel"][0], start, atol=2e-5)


def test_a_matrix_of_the_rank_is_exact_and_a_small_one_is_sent_whole(draw):
    x = (draw.normal(size=(6, 2)) @ draw.normal(size=(2, 5))).astype(np.float32)
    np.testing.assert_allclose(once(power(2), x)[1], x, atol=1e-5)
    small = draw.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_array_equal(once(power(2), small)[1], small)


def test_warm_starts_reach_the_best_approximation(draw):
    x = draw.normal(size=(6, 5)).astype(np.float32)
    tx = exchange(power(2), feedback="none")
    state, update = tx.init({"kernel": x}), jax.jit(tx.update)
    for _ in range(60):
        updates, state = update({"kernel": x}, state)
    left, values, right = np.linalg.svd(x)
    np.testing.assert_allclose(updates["kernel"], left[:, :2] * values[:2] @ right[:2], atol=1e-3)
    one = once(power(2, warm=False), x)[1]
    assert np.linalg.norm(x - one) > np.linalg.norm(x - updates["kernel"])


def test_bad_ranks_are_named():
    with pytest.raises(ValueError, match="power: rank=0 must be at least 1"):
        power({0: 0})
