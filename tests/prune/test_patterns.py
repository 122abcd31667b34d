"""Patterns: splitting and joining are inverse, names, and what does not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from tests import helpers

ALL = ["unstructured", "balanced", "2:4", "1:2", "block 2x4", "filter", "neuron", "channel", "head", "layer"]


@pytest.mark.parametrize("shape", [(8, 4), (3, 3, 4, 8), (2, 4, 4)])
@pytest.mark.parametrize("name", ALL)
def test_join_undoes_split(name, shape):
    pattern, x = prune.as_pattern(name), helpers.array(0, shape)
    parts = pattern.split("w", x)
    assert parts.ndim == 3
    np.testing.assert_array_equal(pattern.join("w", parts, shape), x)


def test_groups_of_nm_run_along_the_inputs():
    x = jnp.arange(32.0).reshape(8, 4)
    parts = prune.nm(2, 4).split("w", x)[..., 0]
    columns = [tuple(x[i : i + 4, j].tolist()) for i in (0, 4) for j in range(4)]
    assert sorted(map(tuple, parts.tolist())) == sorted(columns)
    along_outputs = prune.nm(2, 4, axis=-1).split("w", x)[..., 0]
    np.testing.assert_array_equal(along_outputs, x.reshape(8, 4))


def test_blocks_are_blocks():
    x = jnp.arange(16.0).reshape(4, 4)
    parts = prune.block(2, 2).split("w", x)[0]
    assert parts[1].tolist() == [2.0, 3.0, 6.0, 7.0]


def test_units_of_slices():
    x = helpers.array(0, (3, 3, 2, 5))
    np.testing.assert_array_equal(prune.slices(-1).split("w", x)[0, 3], x[..., 3].ravel())
    np.testing.assert_array_equal(prune.slices(2).split("w", x)[0, 1], x[:, :, 1].ravel())


@pytest.mark.parametrize(("n", "m"), [(0, 4), (5, 4)])
def test_n_beyond_m(n, m):
    with pytest.raises(ValueError, match=f"pattern {n}:{m} keeps {n} of every {m} weights; give 1 <= N <= M"):
        prune.nm(n, m)


def test_what_does_not_fit():
    x = jnp.ones((6, 4))
    with pytest.raises(ValueError, match=r"2:4: axis 0 of a/kernel \(6, 4\) is not divisible by 4; choose another M"):
        prune.as_pattern("2:4").split("a/kernel", x)
    with pytest.raises(ValueError, match=r"block 4x4 does not divide a/kernel \(6, 4\)"):
        prune.as_pattern("block 4x4").split("a/kernel", x)
    with pytest.raises(ValueError, match=r"neuron: bias \(4,\) has no axis -1 of units"):
        prune.as_pattern("neuron").split("bias", x[0])
    with pytest.raises(ValueError, match=r"slices\(3\)"):
        prune.slices(3).split("w", x)
    with pytest.raises(ValueError, match="unknown pattern 'stripes'; use one of"):
        prune.as_pattern("stripes")
    with pytest.raises(ValueError, match="block 0x4 has no weights"):
        prune.block(0, 4)
