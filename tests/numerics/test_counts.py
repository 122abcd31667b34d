"""Counts in two limbs against integers of Python, and methods on more weights than int32 counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax import prune, saliency
from compressjax.numerics import _counts, _top
from compressjax.numerics._counts import as_float, choose, difference, entries, exact, known, number_of, plus, rounded
from compressjax.prune.patterns._masks import masks_of

NUMBERS = st.one_of(st.integers(0, 2**40), st.sampled_from([0, 1, 2**24 - 1, 2**24, 2**31 - 1, 2**31, 2**32, 2**33]))
# 2.8 and 1.2 billion weights: one leaf and both together exceed int32.
HUGE = {
    "a/kernel": jax.ShapeDtypeStruct((70000, 40000), jnp.float32),
    "b/kernel": jax.ShapeDtypeStruct((30000, 40000), jnp.float32),
}


@given(NUMBERS, NUMBERS)
def test_arithmetic_is_that_of_integers(a, b):
    assert known(exact(a)) == a
    assert known(plus(exact(a), exact(b))) == a + b
    assert int(np.sign(difference(a, b))) == (a > b) - (a < b)
    assert float(difference(a, b)) == pytest.approx(a - b, rel=1e-6)
    assert float(as_float(exact(a))) == float(np.float32(a))
    assert known(choose(a < b, a, b)) == min(a, b)
    assert known(rounded(jnp.float32(a))) == int(np.float32(a))


def test_arrays_of_counts():
    numbers = np.array([2**31 + 5, 7, 2**24, 0, 2**33 + 1])
    count = exact(numbers)
    assert [known(_counts.Count(*limbs)) for limbs in zip(*count)] == numbers.tolist()
    sums = _counts.running(count, int(numbers.sum()))
    assert [known(_counts.Count(*limbs)) for limbs in zip(*sums)] == np.cumsum(numbers).tolist()
    small = exact(jnp.array([5, 2**24, 3]))
    assert _counts.running(small, 2**25).low.tolist() == [5, 5, 8]


@pytest.fixture
def narrow(monkeypatch):
    """Limbs of 3 bits, integers up to 40 and positions up to 82, so that small arrays count as large ones do."""
    monkeypatch.setattr(_counts, "_BITS", 3)
    monkeypatch.setattr(_counts, "INT32", 40)
    monkeypatch.setattr(_top, "_POSITIONS", 82)


def test_entries_of_several_masks(narrow, draw):
    masks = [jnp.asarray(draw.random(shape) < 0.7) for shape in ((6, 7), (3,), (5, 5), (4, 5, 3), (0, 2), (39,))]
    count = jax.jit(lambda *masks: entries(masks))(*masks)
    assert int(count.high) * 8 + int(count.low) == sum(int(np.asarray(m).sum()) for m in masks)
    assert 0 <= int(count.low) < 8
    assert number_of(masks[3]) == np.asarray(masks[3]).sum()


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_with_many_limbs(narrow, draw, ties):
    """One stable sort of everything, with counts that no limb holds alone."""
    scores = [
        draw.integers(0, 4 if ties else 10**6, size=shape).astype(np.float32) for shape in ((6, 8), (30,), (9, 9))
    ]
    flat = np.concatenate([x.ravel() for x in scores])
    top = jax.jit(_top._top_masks.__wrapped__)
    for count in (0, 1, 39, 80, 158, 159):
        want = np.zeros(len(flat), bool)
        want[np.argsort(-flat, kind="stable")[:count]] = True
        found = top([jnp.asarray(x) for x in scores], exact(count))
        assert np.concatenate([np.asarray(x).ravel() for x in found]).tolist() == want.tolist()


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
def test_masks_of_more_weights_than_int32_counts(distribution):
    for pattern in ("unstructured", "neuron"):
        masks = jax.eval_shape(lambda scores, pattern=pattern: masks_of(scores, 0.5, distribution, pattern), HUGE)
        assert {path: x.shape for path, x in masks.items()} == {path: x.shape for path, x in HUGE.items()}


def test_methods_in_training_on_more_weights_than_int32_counts():
    def step(compression, params):
        _, state = compression.before_step(params, params, compression.init(params))
        params, state = compression.after_step(params, state)
        return compression.encode(params, state)

    for method in (
        prune.gradual(0.5, end=9, distribution="global", normalize=True), prune.movement(0.5, end=9),
        prune.topkast(0.5, 0.2, explore_until=3), prune.static(0.5, key=jax.random.key(0)),
    ):  # fmt: skip
        made = jax.eval_shape(lambda params, method=method: step(method, params), HUGE)
        assert made["a/kernel"].mask.shape == (70000, 40000)
    flow = saliency.synflow(lambda p, x: x @ p["b/kernel"], jnp.zeros((1, 30000)), 0.5, steps=3)
    assert set(jax.eval_shape(flow.score, HUGE)) == set(HUGE)


def test_what_cannot_be_counted_is_refused_by_name():
    whole = {"w": jax.ShapeDtypeStruct((2**16, 2**16), jnp.float32)}
    with pytest.raises(
        ValueError, match=r"'w' has 4294967296 weights, and at most 4294967295 of one array .* split it"
    ):
        jax.eval_shape(lambda scores: masks_of(scores, 0.5), whole)
    for method in (prune.set_(0.5, end=9, key=jax.random.key(0)), prune.rigl(0.5, end=9, key=jax.random.key(0))):
        with pytest.raises(ValueError, match="'a/kernel': it has 2800000000 weights, and .* at most 2147483647 of one"):
            jax.eval_shape(method.init, HUGE)
    with pytest.raises(
        ValueError, match="lamp: 'a/kernel': it has 2800000000 weights, and one array of at most 2147483647"
    ):
        jax.eval_shape(saliency.lamp().score, HUGE)
    with pytest.raises(ValueError, match=r"pattern block 1x1 has 4000000000 units in .* choose larger blocks"):
        jax.eval_shape(lambda scores: masks_of(scores, 0.5, "global", prune.patterns.block(1, 1)), HUGE)
