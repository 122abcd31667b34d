"""Losses leaf by leaf against compressing by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune, quant
from compressjax.measure import Trace, leaf_losses
from tests import helpers


def loss(params, x):
    return jnp.mean((jnp.tanh(x @ params["a"]) @ params["b"] + params["bias"][None] - 1.0) ** 2)


def test_is_compressing_by_hand():
    params = {"a": helpers.array(0, (4, 6)), "b": helpers.array(1, (6, 2)), "bias": jnp.zeros(2)}
    batches = [helpers.array(2, (5, 4)), helpers.array(3, (5, 4))]
    methods = {"int3": quant.rtn(3), "half": {"a": prune.magnitude(0.5)}}
    found = leaf_losses(loss, params, batches, methods, but_one=True)

    def mean(tree):
        return np.mean([float(loss(core.materialize(tree), batch)) for batch in batches])

    whole = core.compress(params, quant.rtn(3))
    assert found.base == pytest.approx(mean(params), rel=1e-5)
    assert found.whole["int3"] == pytest.approx(mean(whole), rel=1e-5)
    assert found.alone["int3"]["a"] == pytest.approx(mean({**params, "a": whole["a"]}), rel=1e-5)
    assert found.but_one["int3"]["a"] == pytest.approx(mean({**whole, "a": params["a"]}), rel=1e-5)
    assert set(found.alone["int3"]) == {"a", "b"}
    assert set(found.alone["half"]) == {"a"}
    assert found.bits["int3"] == {path: whole[path].size_bits() for path in ("a", "b")}
    assert found.dense_bits["b"] == 12 * 32
    wrong = np.sum((np.asarray(whole["b"].materialize()) - np.asarray(params["b"])) ** 2)
    assert found.errors["int3"]["b"] == pytest.approx(wrong, rel=1e-5)
    assert found.increases()["a"]["int3"] == pytest.approx(found.alone["int3"]["a"] - found.base)
    assert found.costs()["a"] == {"int3": whole["a"].size_bits(), "half": found.bits["half"]["a"]}
    expected = found.expected({"a": Trace(48.0, 0.0), "b": Trace(-1.0, 0.0)})
    assert expected["a"]["int3"] == pytest.approx(found.errors["int3"]["a"])
    assert expected["b"]["int3"] == 0.0


def test_bad_input():
    with pytest.raises(ValueError, match="got 0 and 1"):
        leaf_losses(loss, {}, [1], {})
