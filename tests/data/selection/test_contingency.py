"""Counts and what they say, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.data.selection import _contingency as table


def test_bins_of_values_and_of_edges():
    x = jnp.array([[0.0, 2.9], [1.0, 1.0]])
    assert table.binned(x, None).tolist() == [[0, 2], [1, 1]]
    assert table.binned(x, [1.0, 2.0]).tolist() == [[0, 2], [1, 1]]
    assert table.binned(x, [[0.5], [3.0]]).tolist() == [[0, 0], [1, 0]]


def test_counts_and_information_by_hand():
    b, y = np.array([[0], [0], [1], [1]]), np.array([0, 0, 1, 0])
    counts = jax.jit(table.counted, static_argnums=(2, 3))(b, y, 2, 2)
    assert counts.tolist() == [[[2, 0], [1, 1]]]
    gain, entropy = table.information(counts)
    want = 0.5 * np.log(0.5 / (0.5 * 0.75)) + 0.25 * np.log(0.25 / (0.5 * 0.75)) + 0.25 * np.log(0.25 / (0.5 * 0.25))
    np.testing.assert_allclose(gain, [want], rtol=1e-5)
    np.testing.assert_allclose(entropy, [np.log(2)], rtol=1e-6)
    assert table.information(jnp.zeros((1, 2, 2), jnp.int32))[0].tolist() == [0]


def test_bad_bins_are_named():
    with pytest.raises(ValueError, match="bins=1 must be at least 2"):
        table.check_bins("s", 1, None)
    with pytest.raises(ValueError, match=r"edges of shape \(2,\) must be ascending"):
        table.check_bins("s", 2, [3.0, 1.0])
