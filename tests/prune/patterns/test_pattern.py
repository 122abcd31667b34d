"""Patterns: units and groups, kept units, names, and leaves that do not fit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from tests import helpers


def entries(pattern, x):
    """[groups, units, weights] of a leaf, by the roles of its axes."""
    sizes, roles = pattern.read("w", x.shape)
    order = [i for role in "guw" for i, mine in enumerate(roles) if mine == role]
    count = [int(np.prod([n for n, mine in zip(sizes, roles, strict=True) if mine == role])) for role in "guw"]
    return np.asarray(x).reshape(sizes).transpose(order).reshape(count)


def test_groups_of_nm_run_along_the_inputs():
    x = jnp.arange(32.0).reshape(8, 4)
    parts = entries(prune.patterns.nm(2, 4), x)[..., 0]
    columns = [tuple(x[i : i + 4, j].tolist()) for i in (0, 4) for j in range(4)]
    assert sorted(map(tuple, parts.tolist())) == sorted(columns)
    np.testing.assert_array_equal(entries(prune.patterns.nm(2, 4, axis=-1), x)[..., 0], x.reshape(8, 4))
    heads = helpers.array(0, (8, 2, 3))
    found = sorted(map(tuple, entries(prune.patterns.nm(2, 4, axis=0), heads)[..., 0].tolist()))
    assert found == sorted(tuple(heads[i : i + 4, j, k].tolist()) for i in (0, 4) for j in range(2) for k in range(3))


def test_outputs_are_the_groups_of_balanced():
    x = helpers.array(0, (2, 3, 4))
    np.testing.assert_array_equal(entries(prune.patterns.balanced(), x)[..., 0], x.reshape(6, 4).T)


def test_blocks_are_blocks():
    x = jnp.arange(32.0).reshape(2, 4, 4)
    parts = entries(prune.patterns.block(2, 2), x)
    assert parts.shape == (1, 8, 4)
    assert parts[0, 1].tolist() == [2.0, 3.0, 6.0, 7.0]
    assert parts[0, 6].tolist() == [24.0, 25.0, 28.0, 29.0]


def test_units_of_slices():
    x = helpers.array(0, (3, 3, 2, 5))
    np.testing.assert_array_equal(entries(prune.patterns.slices(-1), x)[0, 3], x[..., 3].ravel())
    np.testing.assert_array_equal(entries(prune.patterns.slices(2), x)[0, 1], x[:, :, 1].ravel())
    assert entries(prune.patterns.layer(), x).shape == (1, 1, 90)
    assert entries(prune.patterns.unstructured(), x).shape == (1, 90, 1)


@pytest.mark.turns(3)
@pytest.mark.parametrize("shape", [(8, 4), (3, 3, 4, 8), (2, 4, 4)])
@pytest.mark.parametrize("name", ["unstructured", "balanced", "2:4", "1:2", "block 2x4", "filter", "channel", "head"])
def test_the_best_half_of_every_group_stays(name, shape, draw):
    """Whole units, compared by sorting them in NumPy."""
    pattern, x = prune.patterns.as_pattern(name), draw.normal(size=shape)
    mask = prune.patterns.pattern_mask(jnp.asarray(x), None if pattern.density else 0.5, name)
    scores, kept = entries(pattern, x).mean(2), entries(pattern, np.asarray(mask))
    np.testing.assert_array_equal(kept.all(2), kept.any(2))
    ranks = (-scores).argsort(1).argsort(1)
    np.testing.assert_array_equal(kept.all(2), ranks < round(scores.shape[1] / 2))


@pytest.mark.parametrize("name", ["2:4", "neuron", "channel", "block 2x2"])
def test_masks_lie_in_memory_as_their_weights(name):
    """In a loop the compiler chooses the layout, and a transposed mask would be slow to read at every step."""

    def train(x):
        def step(i, carry):
            x, mask = carry
            fresh = partial(prune.patterns.pattern_mask, jnp.abs(x), None if ":" in name else 0.5, name)
            return x * jnp.where(mask, 1.5, 0.5), jax.lax.cond(i % 3 == 0, fresh, lambda: mask)

        return jax.lax.fori_loop(0, 9, step, (x, jnp.ones(x.shape, bool)))[0]

    text = jax.jit(train).lower(jnp.ones((8, 12))).compile().as_text()
    assert "pred[8,12]{1,0}" in text
    assert "pred[8,12]{0,1}" not in text


@pytest.mark.parametrize(("n", "m"), [(0, 4), (5, 4)])
def test_n_beyond_m(n, m):
    with pytest.raises(ValueError, match=f"pattern {n}:{m} keeps {n} of every {m} weights; give 1 <= N <= M"):
        prune.patterns.nm(n, m)


def test_what_does_not_fit():
    x = jnp.ones((6, 4))
    with pytest.raises(ValueError, match=r"2:4: 'a/kernel': axis 0 of \(6, 4\) is not divisible by 4; choose"):
        prune.patterns.as_pattern("2:4").read("a/kernel", x.shape)
    with pytest.raises(ValueError, match=r"block 4x4: 'a/kernel': the sides do not divide .* \(6, 4\)"):
        prune.patterns.as_pattern("block 4x4").read("a/kernel", x.shape)
    with pytest.raises(ValueError, match=r"neuron: 'bias': \(4,\) has no input axis;"):
        prune.patterns.as_pattern("neuron").read("bias", (4,))
    with pytest.raises(ValueError, match=r"slices\(3\)"):
        prune.patterns.slices(3).read("w", x.shape)
    with pytest.raises(ValueError, match="unknown pattern 'stripes'; use one of"):
        prune.patterns.as_pattern("stripes")
    with pytest.raises(ValueError, match="block 0x4 has no weights"):
        prune.patterns.block(0, 4)
