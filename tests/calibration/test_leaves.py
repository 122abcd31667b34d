"""Finished leaves take fewer bytes, and come back as they were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.calibration._leaves import Leaves


@pytest.mark.parametrize(("bits", "symmetric"), [(4, True), (4, False), (8, True)])
def test_leaves_come_back_as_they_were(bits, symmetric):
    given = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(512, 256)), jnp.float32), "b": jnp.ones(3)}
    node = core.compress({"a": given["a"]}, quant.rtn(bits, symmetric=symmetric))["a"]
    first = Leaves(given)
    leaves = first.having({"a": node})
    assert first["a"] is given["a"]
    assert list(leaves) == ["a", "b"]
    assert leaves["b"] is given["b"]
    assert list(leaves.replaced(["a", "b"])) == ["a"]
    thin = {(4, True): "int4", (4, False): "uint4", (8, True): "int8"}[bits, symmetric]
    assert str(leaves._done["a"].arrays[0].dtype) == thin
    for found in (leaves["a"], leaves.take()["a"]):
        assert jax.tree.structure(found) == jax.tree.structure(node)
        jax.tree.map(np.testing.assert_array_equal, found, node)
        assert found.codes.dtype == node.codes.dtype
    assert not leaves.replaced(["a"])
