"""A mergeable sample is uniform, and whole while it fits."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.data import _sample

KEY = jax.random.key(0)


def numbers(state):
    return np.sort(_sample.rows_in(state)[0][:, 0])


def test_it_keeps_all_rows_while_they_fit_and_no_more_after(draw):
    rows = np.stack([np.arange(64.0), draw.normal(size=64)], 1).astype(np.float32)
    add = jax.jit(_sample.sampled)
    state = add(_sample.no_sample(64, 2, KEY), rows, rows[:, 0])
    np.testing.assert_array_equal(numbers(state), np.arange(64))
    np.testing.assert_array_equal(*(part if part.ndim == 1 else part[:, 0] for part in _sample.rows_in(state)))
    whole = add(_sample.no_sample(16, 2, KEY), rows, rows[:, 0])
    pieces = _sample.no_sample(16, 2, KEY)
    for part in np.split(rows, 4):
        pieces = add(pieces, part, part[:, 0])
    np.testing.assert_array_equal(numbers(whole), numbers(pieces))  # the size of batches does not matter
    assert len(set(numbers(whole))) == 16


def test_every_row_is_as_likely(draw):
    rows = jnp.asarray(np.stack([np.arange(40.0), draw.normal(size=40)], 1), jnp.float32)

    def chosen(key):
        a = _sample.sampled(_sample.no_sample(10, 2, key), rows[:20])
        b = _sample.sampled(_sample.no_sample(10, 2, key), rows[20:])
        return _sample.joined(a, b).x[:, 0]

    found = np.asarray(jax.jit(jax.vmap(chosen))(jax.random.split(KEY, 400))).astype(int)
    often = np.bincount(found.ravel(), minlength=40) / 400
    assert abs(often - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)
