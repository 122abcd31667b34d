"""Laws that every reducer keeps: batches, order and merging matter only by rounding."""

import jax
import numpy as np

from compressjax import data


def digits():
    from sklearn.datasets import load_digits

    return load_digits().data.astype(np.float32)


def assert_close(a, b, tolerance=1e-5):
    """Trees of arrays, relative to the largest entry of each."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        np.testing.assert_allclose(x, y, atol=tolerance * max(np.abs(y).max(initial=0), 1e-30))


def merged_passes(reducer, parts, order=1):
    """What several hosts learn, each from its part, when states are merged after every pass."""
    merge, again, state, more = jax.jit(reducer.merge), jax.jit(reducer.again or (lambda s: (s, False))), None, True
    while more:
        states = [data.gathered(reducer, part, start=state) for part in parts][::order]
        state, more = again(merge(*states))
    return reducer.finalize(state)


def check(reducer, rows, tolerance=1e-5, whole=None):
    """Streaming equals one batch; merged halves equal the whole; the order of rows does not matter."""
    whole = data.fit(reducer, [rows]) if whole is None else whole
    draw = np.random.default_rng(0)
    uneven = np.split(rows, [1, len(rows) // 4])  # few sizes, as each compiles
    assert_close(data.fit(reducer, uneven), whole, tolerance)
    assert_close(data.fit(reducer, rows[draw.permutation(len(rows))]), whole, tolerance)
    halves = np.split(rows, [len(rows) // 4])
    assert_close(merged_passes(reducer, halves), whole, tolerance)
    assert_close(merged_passes(reducer, halves, -1), whole, tolerance)
    if reducer.again is None:
        parts = [data.gathered(reducer, part) for part in halves]
        nothing, merge = reducer.init(rows.shape[1]), jax.jit(reducer.merge)
        assert_close(reducer.finalize(merge(nothing, merge(*parts))), whole, tolerance)
    return whole


def check_pairs(reducer, rows, labels, tolerance=1e-5):
    """The laws for rows with labels: two batches, merged parts in either order, and shuffled rows equal one batch."""
    whole = data.fit(reducer, (rows, labels))
    order = np.random.default_rng(0).permutation(len(rows))
    half = len(rows) // 2
    halves = [(rows[part], labels[part]) for part in (order[:half], order[half : 2 * half], order[2 * half :])]
    halves = [part for part in halves if len(part[0])]
    assert_close(data.fit(reducer, halves), whole, tolerance)
    merge = jax.jit(reducer.merge)
    states = [data.gathered(reducer, [part]) for part in halves]
    for some in (states, states[::-1]):
        total = reducer.init(rows.shape[1])
        for state in some:
            total = merge(total, state)
        assert_close(reducer.finalize(total), whole, tolerance)
    return whole


def digits_and_labels():
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(np.float32), found.target
