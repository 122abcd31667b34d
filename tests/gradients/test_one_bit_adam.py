"""1-bit Adam: plain Adam first, then a loop in NumPy."""

import numpy as np
import optax
import pytest

from compressjax.gradients import one_bit_adam
from tests.gradients.workers import AXIS, WORKERS, gradients, run

B1, B2, EPS, FREEZE = 0.9, 0.99, 1e-8, 2


def part(x):
    """Scaled signs of the parts of a flat array, one a worker, padded with zeros."""
    rows = np.pad(x.ravel(), (0, 2)).reshape(WORKERS, 8)
    return np.where(rows < 0, -1, 1) * np.abs(rows).mean(1, keepdims=True)


def test_adam_then_signs_of_the_momentum():
    grads = gradients(5)
    updates, state = run(one_bit_adam(FREEZE, AXIS, b1=B1, b2=B2), grads)
    adam = optax.scale_by_adam(B1, B2, EPS)
    inner = adam.init({"kernel": np.zeros((6, 5), np.float32)})
    errors = np.zeros((WORKERS, 6, 5))
    for step, g in enumerate(grads["kernel"]):
        if step < FREEZE:
            exact, inner = adam.update({"kernel": g.mean(0)}, inner)
            np.testing.assert_allclose(updates["kernel"][step, 0], exact["kernel"], rtol=1e-5)
            m, v = np.asarray(inner.mu["kernel"]), np.asarray(inner.nu["kernel"])
            continue
        total = B1 * m + (1 - B1) * g + errors
        first = np.stack([part(x) for x in total])
        average = first.mean(0)
        second = np.where(average < 0, -1, 1) * np.abs(average).mean(1, keepdims=True)
        for w in range(WORKERS):
            first[w, w] -= WORKERS * (average[w] - second[w])
        errors = total - first.reshape(WORKERS, 32)[:, :30].reshape(WORKERS, 6, 5)
        m = second.ravel()[:30].reshape(6, 5)
        root = np.sqrt(v / (1 - B2**FREEZE)) + EPS
        np.testing.assert_allclose(updates["kernel"][step, 3], m / (1 - B1 ** (step + 1)) / root, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(state.errors.tree["kernel"][:, 0], errors, atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="freeze=0 must be at least 1"):
        one_bit_adam(0)
