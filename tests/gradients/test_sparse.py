"""Messages of a few entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.federated import message_bytes
from compressjax.gradients import random_k, threshold, top_k
from tests.gradients.workers import once

X = np.array([[0.1, -3.0, 0.5, 2.0], [0.0, -0.2, 1.0, -0.4]], np.float32)


def test_largest_entries_and_their_contraction():
    own, mean = once(top_k(0.25), X)
    np.testing.assert_array_equal(own, [[0, -3, 0, 2], [0, 0, 0, 0]])
    np.testing.assert_array_equal(own, mean)
    assert ((X - own) ** 2).sum() <= (1 - 0.25) * (X**2).sum()
    np.testing.assert_array_equal(once(top_k(1.0), X)[1], X)


def test_short_entries_are_the_largest_in_127_levels():
    own, mean = once(top_k(0.5, "int8"), X)
    kept = np.where(np.abs(X) >= 0.5, X, 0)
    np.testing.assert_allclose(own, np.round(kept * 127 / 3) * 3 / 127, atol=1e-6)
    np.testing.assert_array_equal(own, mean)
    with pytest.raises(ValueError, match="dtype='int4' must be 'float32' or 'int8', and route='gather' one of gather"):
        top_k(0.5, "int4")


CASES = [
    (0.05, 1000, 50 * 3),
    (0.002, 200_000, 400 * 3 + 16),
    (0.3, 1000, 300 + 125),
    (0.02, 70000, 1400 * 3 + 8),
    (0.1, 70001, 7000 + 8751),
]


@pytest.mark.parametrize(("share", "size", "sent"), CASES)
def test_places_of_short_entries_take_what_is_least(share, size, sent, draw):
    x = draw.normal(size=size).astype(np.float32)
    assert message_bytes(top_k(share, "int8"), (size,)) == sent + 4
    kept = np.argsort(-np.abs(x))[: round(share * size)]
    want = np.zeros(size)
    want[kept] = np.round(x[kept] / np.abs(x).max() * 127) * np.abs(x).max() / 127
    np.testing.assert_allclose(once(top_k(share, "int8"), x)[1], want, atol=1e-5)


def test_entries_above_a_threshold_as_far_as_there_is_room():
    np.testing.assert_array_equal(once(threshold(1.0, 0.5), X)[0], np.where(np.abs(X) >= 1, X, 0))
    np.testing.assert_array_equal(once(threshold(0.1, 0.25), X)[0], [[0, -3, 0, 2], [0, 0, 0, 0]])


def test_random_entries_have_the_stated_laws():
    draws = np.asarray(jax.jit(jax.vmap(lambda seed: once(random_k(0.25), X, key=seed)[0]))(jnp.arange(500)))
    assert set((draws != 0).sum((1, 2)).tolist()) <= {1, 2}  # one entry of X is 0
    loss = ((draws - X) ** 2).sum((1, 2)).mean() / (X**2).sum()
    assert loss == pytest.approx(0.75, abs=0.05)
    scaled = 4 * draws  # what unbiased=True sends
    np.testing.assert_allclose(scaled.mean(0), X, atol=0.75)
    assert ((scaled - X) ** 2).sum((1, 2)).mean() / (X**2).sum() == pytest.approx(3, rel=0.2)
    np.testing.assert_allclose(once(random_k(0.25, unbiased=True), X, key=3)[0], scaled[3])


def test_workers_choose_the_same_random_entries(draw):
    x = draw.normal(size=(4, 3, 4)).astype(np.float32)
    own, mean = jax.jit(jax.vmap(lambda x: once(random_k(0.5), x, "w"), axis_name="w"))(x)
    np.testing.assert_array_equal((own != 0).all(0), (own != 0).any(0))
    np.testing.assert_allclose(mean[0], np.where(own[0] != 0, x.mean(0), 0), atol=1e-6)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"random_k: share=2.0 must be in \(0, 1\]"):
        random_k(2)
    with pytest.raises(ValueError, match="least=-1 must be at least 0"):
        threshold(-1, 0.1)
