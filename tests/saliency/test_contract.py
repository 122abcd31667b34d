"""The contract: absent leaves, missing statistics, 16-bit floats, nodes."""

from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from compressjax import saliency
from compressjax.saliency._contract import wide
from compressjax.tensors import Masked


def test_leaves_of_16_bits_are_scored_in_float32():
    scores = saliency.magnitude().score({"kernel": jnp.ones((2, 2), jnp.bfloat16)})
    assert scores["kernel"].dtype == jnp.float32
    assert wide(jnp.ones(1, jnp.float16)).dtype == jnp.float32


def test_values_inside_nodes_are_scored_and_integers_are_not():
    tree = {"a": Masked(jnp.array([1.0, -2.0]), jnp.array([True, True])), "step": jnp.int32(3)}
    assert saliency.magnitude().score(tree)["a"].tolist() == [1.0, 2.0]
    assert set(saliency.magnitude().score(tree)) == {"a"}


def test_only_leaves_with_statistics_are_scored():
    count = saliency.on_inputs("count", ("count",), lambda path, x, stats: jnp.full(x.shape, stats))
    params = {"a": jnp.ones((2, 2)), "b": jnp.ones((2, 2))}
    assert set(count.score(params, {"a": 1.0, "elsewhere": 2.0})) == {"a"}
    for stats in (None, {}, {"elsewhere": 1.0}):
        with pytest.raises(ValueError, match=r"count reads statistics \('count',\), absent for \['a', 'b'\]; run obs"):
            count.score(params, stats)


def test_statistics_of_nothing_score_nothing():
    stats = {"a": SimpleNamespace(count=jnp.zeros(()), squares=jnp.zeros(2))}
    for method in (saliency.wanda(), saliency.activation()):
        with pytest.raises(ValueError, match=f"{method.name}: 'a': no input reached it"):
            method.score({"a": jnp.ones((2, 2))}, stats)
