"""Masks as data: what they default to, where they meet, and what they leave alone."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core
from compressjax.core._masks import intersect
from tests import helpers, toys

HALF = jnp.array([True, False])


def test_what_moves_is_what_is_used_unless_it_is_said() -> None:
    assert core.Masks().moving == {}
    assert core.Masks({"a": HALF}).moving == {"a": HALF}
    assert core.Masks({"a": HALF}, {}).moving == {}


def test_zeros_are_exact_and_what_has_no_mask_stays() -> None:
    tree = {"a": jnp.array([-1.0, -jnp.inf]), "n": jnp.arange(2), "b": jnp.array([jnp.nan, 1.0])}
    got = core.zero_masked(tree, {"a": HALF, "n": HALF, "absent": HALF})
    assert helpers.same_bits(got["a"], jnp.array([-1.0, 0.0]))
    assert got["b"] is tree["b"]
    assert got["n"] is tree["n"]
    assert core.zero_masked(tree, {}) is tree
    assert core.zero_masked({"a": jnp.ones(2, jnp.bfloat16)}, {"a": HALF})["a"].dtype == jnp.bfloat16


def test_trees_that_lack_leaves_are_masked_as_far_as_they_go() -> None:
    """Moments of a partitioned optimizer have only some of the parameters."""
    assert core.zero_masked({"b": jnp.ones(2)}, {"a": HALF})["b"].tolist() == [1, 1]


def test_masks_meet_where_both_keep() -> None:
    both = intersect(core.Masks({"a": HALF}, {}), core.Masks({"a": ~HALF, "b": HALF}))
    assert {path: mask.tolist() for path, mask in both.used.items()} == {"a": [False, False], "b": [True, False]}
    assert {path: mask.tolist() for path, mask in both.moving.items()} == {"a": [False, True], "b": [True, False]}


def test_a_dense_gradient_shows_one_thing_and_learns_another() -> None:
    seen, back = jax.vjp(lambda x: core.dense_gradient({"a": x}, {"a": x * 0.1})["a"], jnp.array([0.3, 0.7]))
    np.testing.assert_array_equal(seen, jnp.array([0.3, 0.7]) * 0.1)
    np.testing.assert_array_equal(back(jnp.ones(2))[0], [1, 1])
    node = toys.Ranged(jnp.ones(2), jnp.float32(1))
    assert core.dense_gradient({"a": jnp.ones(2)}, {"a": node})["a"] is node
