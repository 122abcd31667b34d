"""Adapters: no change at first, the sum by hand, merges, frozen nodes as bases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, lowrank, quant, tensors
from tests import helpers


def moved(tree, seed=5):
    """The tree with all adapters drawn anew."""
    new = {path: helpers.array(seed + i, x.shape) for i, (path, x) in enumerate(lowrank.adapters(tree).items())}
    return core.with_values(tree, new)


def model(params, x):
    return x @ params["layer"]["kernel"] + params["bias"]


def params():
    return {"layer": {"kernel": helpers.array(0, (8, 6))}, "bias": jnp.ones((1, 6))}


@pytest.mark.parametrize("make", [lowrank.lora, lowrank.dora])
def test_nothing_changes_at_first_and_merging_changes_nothing(key, make):
    x, tree = helpers.array(1, (5, 8)), make(params(), 2, key, alpha=16)
    np.testing.assert_allclose(interpret.lift(model)(tree, x), model(params(), x), atol=1e-5)
    other = moved(tree)
    merged = lowrank.merge(other)
    assert isinstance(merged["layer"]["kernel"], jax.Array)
    np.testing.assert_allclose(model(merged, x), interpret.lift(model)(other, x), atol=1e-3)
    assert merged["bias"] is other["bias"]
    trained = lowrank.adapters(tree)
    assert "layer/kernel/terms/0" not in trained
    assert all(path.startswith("layer/kernel/") for path in trained)


def test_sums_by_hand(key):
    kernel = params()["layer"]["kernel"]
    tree = moved(lowrank.lora(params(), 2, key, alpha=16))
    low = tree["layer"]["kernel"].terms[1].inner
    expected = np.asarray(kernel) + 8 * np.asarray(low.left) @ np.asarray(low.right)
    np.testing.assert_allclose(tree["layer"]["kernel"].materialize(), expected, rtol=1e-4, atol=1e-4)
    polar = moved(lowrank.dora(params(), 2, key))["layer"]["kernel"]
    total = np.asarray(kernel) + np.asarray(polar.inner.terms[1].materialize())
    np.testing.assert_allclose(
        polar.materialize(), np.asarray(polar.magnitude) * total / np.linalg.norm(total, axis=0), rtol=1e-4, atol=1e-4
    )


def test_lengths_of_dora_are_those_of_the_weights(key):
    conv = lowrank.dora({"kernel": helpers.array(0, (3, 3, 4, 5))}, 2, key)["kernel"]
    assert conv.magnitude.shape == (1, 1, 1, 5)
    turned = lowrank.dora({"kernel": helpers.array(0, (6, 8))}, 2, key, layout="[out, in]")["kernel"]
    np.testing.assert_allclose(turned.magnitude[:, 0], np.linalg.norm(helpers.array(0, (6, 8)), axis=1), rtol=1e-5)
    assert turned.inner.terms[1].inner.shape == (6, 8)


def test_bases_may_be_nodes(key):
    base = core.compress(params(), {"layer/kernel": quant.rtn(4)})
    tree = lowrank.lora(base, 2, key)
    node = tree["layer"]["kernel"]
    assert isinstance(node.terms[0], tensors.Quantized)
    assert len(lowrank.adapters(tree)) == 2
    grads = jax.grad(
        lambda flat: jnp.sum(interpret.lift(model)(core.with_values(tree, flat), helpers.array(1, (5, 8))) ** 2)
    )(lowrank.adapters(tree))
    assert not np.asarray(grads["layer/kernel/terms/1/inner/left"]).any()  # B is zero
    assert np.asarray(grads["layer/kernel/terms/1/inner/right"]).any()


def test_what_is_refused(key):
    for settings, message in (
        ({"rank": 0}, "rank=0 must be at least 1"), ({"rank": 2, "alpha": 0}, "alpha=0 above 0"),
        ({"rank": 2, "select": "none"}, "selects nothing"), ({"rank": 2, "select": "flat"}, "no input and output axis"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lowrank.lora({"w": jnp.ones((4, 4)), "flat": jnp.ones(4)}, key=key, **settings)
    for f in (lowrank.merge, lowrank.adapters):
        with pytest.raises(ValueError, match="adapters: the tree has none"):
            f(params())
