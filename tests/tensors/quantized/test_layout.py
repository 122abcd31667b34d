"""Layout changes of stored orders and block scales."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.core import Dense, Window
from compressjax.core.ops import cut, reshape
from compressjax.tensors.quantized._grid import storage_order
from tests import helpers
from tests.interpret import samples


@pytest.mark.parametrize(
    ("shape", "order", "new", "kept"),
    [
        ((6, 8), (1, 0), (6, 2, 4), (1, 2, 0)),
        ((8, 6), (1, 0), (2, 4, 6), (2, 0, 1)),
        ((2, 4, 6), (2, 0, 1), (8, 6), (1, 0)),
        ((6, 2, 4), (1, 2, 0), (6, 8), (1, 0)),
        ((6, 8), (1, 0), (1, 6, 8), (1, 0)),
        ((1, 6, 8), (1, 0), (6, 8), (1, 0)),
        ((3, 6, 8), (1, 0), (3, 6, 2, 4), (1, 2, 0)),
        ((6, 8), (1, 0), (6, 1, 8), (2, 0, 1)),
        ((6, 8), (), (6, 2, 4), ()),
        ((6, 2, 4), (2, 1, 0), (6, 8), ()),
    ],
)
def test_reshapes_keep_the_stored_order(
    shape: tuple[int, ...], order: tuple[int, ...], new: tuple[int, ...], kept: tuple[int, ...]
) -> None:
    """`[in, h * d]` stored with the input last becomes `[in, h, d]` stored with the input last."""
    node = samples.grid(samples.rng(), shape, (*(1 for _ in shape[:-1]), shape[-1]), order=order, activation="dynamic")
    moved = reshape(node, new)
    samples.assert_close(helpers.brute(moved), helpers.brute(node).reshape(new), tolerance=1e-7)
    if kept and order:
        assert moved.codes.size == node.codes.size
        got = storage_order(len(new), moved.order)
        asked = storage_order(len(new), kept)
        assert [a for a in got if new[a] != 1] == [a for a in asked if new[a] != 1]
        np.testing.assert_array_equal(moved.codes.ravel(), node.codes.ravel())  # no byte moved
    else:
        assert moved.order == ()


def test_reshape_refuses_a_scale_for_every_entry() -> None:
    node = samples.grid(samples.rng(), (32, 8), (16, 8))
    moved = reshape(node, (256,))
    assert isinstance(moved, Dense)
    assert "scale" in moved.reason
    assert not isinstance(reshape(samples.grid(samples.rng(), (32, 8), (1, 8)), (32, 2, 4)), Dense)


def test_reshape_and_stacks_of_activation_scales() -> None:
    node = dataclasses.replace(
        samples.grid(samples.rng(), (3, 6, 8), activation="static"), activation_scale=jnp.ones(3)
    )
    assert reshape(node, (3, 6, 2, 4)).activation_scale.shape == (3,)
    assert isinstance(reshape(node, (18, 8)), Dense)


def test_groups_may_be_cut_between_but_not_through() -> None:
    node = samples.grid(samples.rng(), (12, 4), (3, 4), order=(1, 0))
    kept = cut(node, [Window(4, 8), None])
    assert kept.scale.shape == (2, 4)
    samples.assert_close(helpers.brute(kept), helpers.brute(node)[4:], tolerance=1e-7)
    for window in (Window(2, 8), Window(4, 6), Window(0, 6, 2), Window(jnp.int32(4), 4)):
        refused = cut(node, [window, None])
        assert isinstance(refused, Dense)
        assert "group" in refused.reason
