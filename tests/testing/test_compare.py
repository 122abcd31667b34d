"""Comparisons see every bit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import testing
from compressjax.testing._compare import difference, require, same_bits


def test_zeros_of_another_sign_and_types_differ():
    assert same_bits(np.float32(np.nan), jnp.float32(np.nan))
    assert not same_bits(0.0, -0.0)
    assert not same_bits(np.float32(1), np.float64(1))


def test_the_first_leaf_that_differs_is_named():
    tree = {"a": jnp.ones(2), "b": (jnp.zeros(1),)}
    assert difference(tree, {**tree}) == ""
    assert difference(tree, {**tree, "b": (jnp.ones(1),)}).startswith("['b'][0] differs: float32[1] [0.0] and")
    assert "structures differ" in difference(tree, {"a": jnp.ones(2)})


def test_require_names_the_law():
    require(True, "shape", "nothing")
    with pytest.raises(testing.Broken, match="shape: why"):
        require(False, "shape", "why")
