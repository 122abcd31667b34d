"""Moments by class against NumPy; empty classes and large means."""

import jax
import numpy as np

from compressjax.data.selection import _class_moments as cm
from compressjax.numerics._counts import as_float

BY_CLASS, MERGE = jax.jit(cm.by_class, static_argnums=2), jax.jit(cm.merged_classes)


def test_they_are_those_of_numpy_also_merged(draw):
    x, y = (1e3 + draw.normal(size=(30, 3))).astype(np.float32), np.arange(30) % 3
    state = cm.no_classes(3, 4)
    for part in (slice(15), slice(15, 30)):
        state = MERGE(state, BY_CLASS(x[part], y[part], 4))
    np.testing.assert_array_equal(as_float(state.rows), [10, 10, 10, 0])
    for c in range(3):
        part = x[y == c].astype(np.float64)
        np.testing.assert_allclose(state.mean[c], part.mean(0), rtol=1e-6)
        np.testing.assert_allclose(state.scatter[c], part.var(0) * 10, rtol=2e-3)
    np.testing.assert_array_equal(state.mean[3], 0)
    means = jax.jit(cm.means_by_class, static_argnums=2)(x, y, 4)
    np.testing.assert_allclose(means.mean[:3], [x[y == c].astype(np.float64).mean(0) for c in range(3)], rtol=1e-6)
    assert not means.scatter.any()
    between, within = jax.jit(cm.between_and_within)(BY_CLASS(np.full((15, 3), 1e4, np.float32), y[:15], 4))
    assert not np.any(between)
    assert not np.any(within)
