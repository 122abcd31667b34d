"""Blocks of every granularity, and the leaves that they do not fit."""

import pytest

from compressjax.quant._grid import block_shape, make_grid


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


def test_blocks():
    assert block_shape("k", (64, 10), grid()) == (1, 10)
    assert block_shape("k", (64, 10), grid(granularity="tensor")) == (1, 1)
    assert block_shape("k", (64, 10), grid(granularity=16)) == (4, 10)
    assert block_shape("k", (3, 3, 64, 10), grid(granularity=16)) == (1, 1, 4, 10)
    assert block_shape("k", (3, 3, 64, 10), grid()) == (1, 1, 1, 10)
    assert block_shape("k", (64, 10), grid(axis=0)) == (64, 1)
    assert block_shape("k", (64, 10), grid(axis=0, granularity=5)) == (64, 2)
    assert block_shape("k", (6, 64, 10), grid(axis=(0, -1))) == (6, 1, 10)
    assert block_shape("k", (64, 10), grid(granularity=(16, 5))) == (4, 2)
    assert block_shape("k", (3, 3, 64, 10), grid(granularity=(16, 5))) == (1, 1, 4, 2)
    assert block_shape("k", (16,), grid(granularity="tensor")) == (1,)


def test_bad_leaves():
    with pytest.raises(ValueError, match="'a/kernel': group size 16 does not divide the 60 inputs of axis 0"):
        block_shape("a/kernel", (60, 4), grid(granularity=16))
    with pytest.raises(ValueError, match=r"fallback='divisor' \(groups of 15\) or fallback='channel'"):
        block_shape("a/kernel", (60, 4), grid(granularity=16))
    with pytest.raises(ValueError, match=r"'bias': shape \(60,\) would get a scale for every entry"):
        block_shape("bias", (60,), grid())
    with pytest.raises(ValueError, match="no axis"):
        block_shape("bias", (60,), grid(axis=1))
    with pytest.raises(ValueError, match="group size 3 does not divide the 4 outputs of axis 1"):
        block_shape("a/kernel", (60, 4), grid(granularity=(10, 3)))
