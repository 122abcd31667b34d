"""The search for a threshold against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.numerics._top import _search, top_along, top_mask, top_masks

# Compiled once: outside of jit, the loops inside would be compiled again at every call.
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


def search(numbers, wanted, passes=None):
    """The search for the threshold that `wanted` of some numbers reach, at most the largest of them."""

    def gap(key):
        if passes is not None:
            jax.debug.callback(lambda: passes.append(1))
        return jnp.sum(numbers >= key) - wanted

    low, high = jnp.min(numbers), jnp.max(numbers) + 1
    found, surplus = _search(gap, low, high, jnp.int32(numbers.size - wanted), jnp.int32(-wanted))
    jax.effects_barrier()
    return int(found), int(surplus)


@pytest.mark.parametrize(
    ("scores", "exact"), [(np.arange(1.0, 1025.0), True), (np.repeat(np.arange(1.0, 5.0), 256), False)]
)
def test_the_search_ends_early_exactly_when_the_count_is_met(scores, exact):
    keys = jnp.asarray(scores, jnp.float32).view(jnp.uint32)
    for count in (1, 300, 511, 1023):
        passes = []
        found, surplus = search(keys, count, passes)
        assert surplus == int((keys >= found).sum()) - count >= 0
        assert (surplus == 0) is exact
        assert len(passes) <= 56
        if exact:  # 1 to 1024 in 24 bits: neighbors differ above the last 13, so 19 bits have to be found
            assert len(passes) < 19
    assert search(keys, 1024) == (int(keys.min()), 0)
    assert search(keys, 0) == (int(keys.max()) + 1, 0)


EXTREME = st.sampled_from([0, 1, 2, 7, 2**16, 2**31 - 1, 2**31, 2**32 - 3, 2**32 - 2])


@given(st.lists(EXTREME, min_size=9, max_size=9), st.integers(0, 9))
def test_the_search_on_lopsided_numbers_ends_where_sorting_does(numbers, wanted):
    """Interpolation fails here; the bisection that follows must find the same threshold."""
    passes = []
    found, surplus = search(jnp.asarray(np.array(numbers, np.uint32)), wanted, passes)
    reached = sorted(numbers, reverse=True)
    assert len(passes) <= 56
    assert surplus == sum(x >= found for x in numbers) - wanted >= 0
    if surplus:
        assert found == reached[wanted - 1]


@pytest.mark.turns(2)
@pytest.mark.parametrize("length", [1, 33, *(pytest.param(n, marks=pytest.mark.thorough) for n in (4, 32))])
def test_rows_are_ranked_alone(length, draw):
    """Short and long axes, with ties and NaN."""
    rows = draw.choice([*SPECIAL, np.nan], size=(50, length)).astype(np.float32)
    for count in {0, 1, length // 2, length}:
        want = np.stack([top(jnp.asarray(row), count) for row in rows])
        np.testing.assert_array_equal(top_along(jnp.asarray(rows), count, 1), want)
        cube = jnp.asarray(rows.reshape(5, 10, length).transpose(0, 2, 1))
        np.testing.assert_array_equal(top_along(cube, count, -2), want.reshape(5, 10, length).transpose(0, 2, 1))


@pytest.mark.thorough
def test_masks_go_through_other_transformations(key):
    """The loop counts integers, so derivatives ignore it; batches run until the last one is done."""
    rows = jnp.abs(jax.random.normal(key, (3, 50)))
    masks = jax.vmap(top_mask, in_axes=(0, 0))(rows, jnp.array([0, 7, 50]))
    for row, mask, count in zip(rows, masks, (0, 7, 50)):
        np.testing.assert_array_equal(mask, top(row, count))
    grads = jax.grad(lambda x: jnp.sum(jnp.where(top_mask(x, 7), x, 0.0)))(rows[0])
    np.testing.assert_array_equal(grads, top(rows[0], 7).astype(jnp.float32))


def test_double_precision_is_ranked_in_single():
    with jax.enable_x64(True):
        scores = jnp.array([0.1, 3.0, 3.0 + 1e-12, -1.0], jnp.float64)
        assert jax.jit(top_mask)(scores, 2).tolist() == [False, True, True, False]
        assert top_along(scores[None].repeat(2, 0), 1, 1).tolist() == [[False, True, False, False]] * 2
