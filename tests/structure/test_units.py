"""Cutting and masking against NumPy, position by position."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.structure._units import cut, mask, removed
from tests.interpret import cutting

TOKENS = jnp.array([[1, 2, 3]])


@pytest.fixture(scope="module")
def llama():
    params = cutting.llama()
    return params, interpret.couplings(cutting.llama_apply)(params, TOKENS)


def test_cut_and_mask_are_those_of_numpy(llama):
    params, groups = llama
    kept = cutting.half(groups)
    for ours, zero in ((cut, False), (mask, True)):
        want = cutting.change(params, groups, kept, zero)
        jax.tree.map(np.testing.assert_array_equal, ours(params, groups, kept), want)


def test_shapes_are_cut_without_arrays(llama):
    params, groups = llama
    kept = cutting.half(groups)
    abstract = cut(jax.eval_shape(lambda: params), groups, kept)
    assert jax.tree.map(lambda x: x.shape, abstract) == jax.tree.map(np.shape, cut(params, groups, kept))


def test_positions_of_several_groups_on_one_axis_add_up(llama):
    _, groups = llama
    gone = removed(groups, {"layers/k:2": [1], "layers/k:2#2": [0, 1]})
    # Key head 0 of 2 goes, and of each head of 6 channels the pair (2, 5).
    assert gone["layers/k"][2].tolist() == [0, 1, 2, 3, 4, 5, 8, 11]


def test_whole_groups_leave_the_tree_alone(llama):
    params, groups = llama
    same = cut(params, groups, {g.name: range(g.units) for g in groups})
    assert all(a is b for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(params)))


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"none": [0]}, "no group 'none'"),
        ({"layers/gate:2": []}, "at least one"),
        ({"layers/gate:2": [10]}, "units 0 to 9"),
        ({"layers/down:0": [0]}, "loop.*groups that can be cut: embed:1"),
    ],
)
def test_impossible_cuts_are_refused(llama, kept, message):
    with pytest.raises(ValueError, match=message):
        cut(llama[0], llama[1], kept)
