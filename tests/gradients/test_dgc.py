"""Deep gradient compression against a loop in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.gradients import deep
from tests.gradients.test_exchange import largest
from tests.gradients.workers import AXIS, WORKERS, gradients, run


def test_steps_are_those_of_a_loop():
    grads = gradients(4)
    updates, state = run(deep({0: 0.5, 2: 0.1}, AXIS, momentum=0.9, clip=2.0), grads)
    speed, sums = (np.zeros((WORKERS, 6, 5)) for _ in range(2))
    dense = np.zeros(5)
    for step in range(4):
        kernel, bias = grads["kernel"][step], grads["bias"][step]
        norms = np.sqrt((kernel**2).sum((1, 2)) + (bias**2).sum(1))
        scale = np.minimum(1, 2.0 / WORKERS**0.5 / norms)
        speed = 0.9 * speed + kernel * scale[:, None, None]
        sums = sums + speed
        sent = np.stack([largest(x, 15 if step < 2 else 3) for x in sums])
        speed, sums = np.where(sent == 0, speed, 0), np.where(sent == 0, sums, 0)
        dense = 0.9 * dense + (bias * scale[:, None]).mean(0)
        np.testing.assert_allclose(updates["kernel"][step, 1], sent.mean(0), atol=1e-5)
        np.testing.assert_allclose(updates["bias"][step, 1], dense, atol=1e-5)
    np.testing.assert_allclose(state.momentum.tree["kernel"][:, 0], speed, atol=1e-5)
    np.testing.assert_allclose(state.sums.tree["kernel"][:, 0], sums, atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"momentum=1 must be in \[0, 1\)"):
        deep(momentum=1)
    with pytest.raises(ValueError, match="deep: share=0.0 must be in"):
        deep({0: 0.5, 3: 0})
    with pytest.raises(ValueError, match="matches no leaf"):
        deep().init({"bias": jnp.zeros(3)})
