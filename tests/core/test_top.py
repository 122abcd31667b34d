"""Bisection against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.core import top_mask, top_masks

# Compiled once: outside of jit, the loops inside would be compiled anew at every call.
top = jax.jit(top_mask)
tops = jax.jit(top_masks)
SPECIAL = np.array([0.0, -0.0, -1.0, 1.0, 2e-38, -2e-38, 3.4e38, -3.4e38, np.inf, -np.inf, 2.5, 2.5], np.float32)


@given(st.lists(st.integers(0, len(SPECIAL) - 1), min_size=20, max_size=20), st.data())
def test_equals_a_stable_sort(picked, data):
    scores = SPECIAL[picked]
    count = data.draw(st.integers(0, len(scores)))
    want = np.zeros(len(scores), bool)
    want[np.argsort(-scores, kind="stable")[:count]] = True
    got = top(jnp.asarray(scores), count)
    assert got.tolist() == want.tolist()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_equals_a_sort_in_every_dtype_and_keeps_the_shape(key, dtype):
    scores = jnp.abs(jax.random.normal(key, (40, 25))).astype(dtype)
    for count in (0, 1, 137, 999, 1000):
        got = top(scores, count)
        assert got.shape == scores.shape
        order = np.argsort(-np.asarray(scores, np.float32).ravel(), kind="stable")
        want = np.isin(np.arange(scores.size), order[:count]).reshape(scores.shape)
        np.testing.assert_array_equal(got, want)


@given(st.lists(st.integers(0, len(SPECIAL) - 1), min_size=23, max_size=23), st.data())
def test_one_threshold_for_several_arrays(picked, data):
    """One stable sort of everything, in the order of the arrays: ties go to the earlier array and index."""
    scores = SPECIAL[picked]
    count = data.draw(st.integers(0, len(scores)))
    parts = {"a": scores[:8].reshape(2, 4), "b": scores[8:11], "c": scores[11:].reshape(2, 3, 2)}
    want = np.zeros(len(scores), bool)
    want[np.argsort(-scores, kind="stable")[:count]] = True
    got = tops({name: jnp.asarray(x) for name, x in parts.items()}, count)
    assert {name: mask.shape for name, mask in got.items()} == {name: x.shape for name, x in parts.items()}
    assert np.concatenate([np.asarray(got[name]).ravel() for name in parts]).tolist() == want.tolist()


def test_not_a_number_comes_last():
    assert top_mask(jnp.array([jnp.nan, -jnp.inf, 0.0]), 2).tolist() == [False, True, True]
    assert top_mask(jnp.array([jnp.nan, -jnp.inf, 0.0]), 3).all()
