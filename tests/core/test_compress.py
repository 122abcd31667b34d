"""compress: first match wins, every pattern must do something, statistics reach the methods."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers, toys

PARAMS = {
    "a": {"kernel": helpers.array(0, (4, 6)), "bias": helpers.array(1, (6,))},
    "b": {"kernel": helpers.array(2, (6, 2)), "bias": helpers.array(3, (2,))},
}


def test_the_first_match_wins() -> None:
    tree = core.compress(PARAMS, {"b/kernel": toys.grid(), ".*kernel": toys.mask()})
    assert isinstance(tree["b"]["kernel"], tensors.Quantized)
    assert isinstance(tree["a"]["kernel"], tensors.Masked)
    assert int(tree["a"]["kernel"].mask.sum()) == 12
    assert tree["a"]["bias"] is PARAMS["a"]["bias"]


def test_patterns_are_literal() -> None:
    tree = core.compress(PARAMS, {".*": toys.grid()})
    assert all(isinstance(leaf, tensors.Quantized) for leaf in core.nodes(tree).values())


def test_callables_are_patterns() -> None:
    tree = core.compress(PARAMS, {core.kernels: toys.mask()})
    assert isinstance(tree["a"]["kernel"], tensors.Masked)
    assert not core.is_node(tree["a"]["bias"])


def test_a_pattern_that_matches_nothing() -> None:
    with pytest.raises(ValueError, match=r"pattern 'c' selects nothing: the tree has \['a/bias'"):
        core.compress(PARAMS, {"a/kernel": toys.grid(), "c": toys.mask()})


def test_a_pattern_that_comes_too_late() -> None:
    with pytest.raises(ValueError, match=r"pattern 'a/kernel' selects nothing: earlier patterns took"):
        core.compress(PARAMS, {".*kernel": toys.grid(), "a/kernel": toys.mask()})


def test_combined_rules() -> None:
    both = core.sequence(toys.factor(), toys.grid())
    tree = core.compress(PARAMS, {"a/kernel": both, "b/.*": core.chain(toys.mask(), toys.grid())})
    assert isinstance(tree["a"]["kernel"].left, tensors.Quantized)
    assert isinstance(tree["b"]["kernel"].value, tensors.Quantized)
    assert isinstance(tree["b"]["bias"].value, tensors.Quantized)
    assert tree["a"]["bias"] is PARAMS["a"]["bias"]


def test_compressing_what_is_compressed_already() -> None:
    once = core.compress(PARAMS, {"a/kernel": toys.factor()})
    twice = core.compress(once, {"a/kernel/left": toys.grid()})
    assert isinstance(twice["a"]["kernel"].left, tensors.Quantized)
    assert not core.is_node(twice["a"]["kernel"].right)


def test_statistics_reach_the_method() -> None:
    stats = {"a/kernel": {"norm": jnp.zeros(4)}}
    tree = core.compress(PARAMS, {"a/kernel": toys.weighted(), "b/kernel": toys.grid()}, stats)
    np.testing.assert_array_equal(tree["a"]["kernel"], np.zeros((4, 6)))
    with pytest.raises(ValueError, match="run observe and pass stats="):
        core.compress(PARAMS, {"a/kernel": toys.weighted()})
