"""Students with layers of their teacher: Flax modules and stacks run as if the other layers were the identity."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, distill, prune, quant, tensors


class Net(nn.Module):
    """Residual dense layers with numbered names."""

    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The sum of all layers."""
        for i in range(self.depth):
            x = x + jnp.tanh(nn.Dense(4, name=f"layer_{i}")(x))
        return nn.Dense(2, name="head")(x)


def test_a_shallower_module_runs_the_kept_layers(key: jax.Array) -> None:
    x = jax.random.normal(key, (3, 4))
    teacher = Net(12).init(key, x)
    student = distill.take_layers(teacher, r"params/layer_(\d+)/.*", (0, 2, 4, 7, 9, 11))  # those of DistilBERT
    skipped = jax.tree.map(jnp.array, teacher)
    for i in (1, 3, 5, 6, 8, 10):
        skipped["params"][f"layer_{i}"] = jax.tree.map(jnp.zeros_like, skipped["params"][f"layer_{i}"])
    np.testing.assert_allclose(Net(6).apply(student, x), Net(12).apply(skipped, x), rtol=1e-6)
    assert jax.tree.structure(student) == jax.tree.structure(Net(6).init(key, x))
    kept = distill.take_layers(teacher, r"params/layer_(\d+)/.*", 5)["params"]
    names = [f"layer_{i}" for i in range(12)]
    for own, its in distill.even_layers([f"layer_{i}" for i in range(5)], names).items():
        np.testing.assert_array_equal(kept[own]["kernel"], teacher["params"][its]["kernel"])


def test_a_stack_is_cut_along_its_first_axis(key: jax.Array) -> None:
    teacher = ({"w": jax.random.normal(key, (4, 3, 3)), "b": jnp.arange(4.0)[:, None]}, [jnp.ones(3)])
    student = distill.take_layers(teacher, "0/.*", range(0, 4, 2))
    np.testing.assert_array_equal(student[0]["w"], teacher[0]["w"][::2])
    np.testing.assert_array_equal(student[0]["b"][:, 0], [0, 2])
    assert jax.tree.structure(student) == jax.tree.structure(teacher)
    assert student[1][0] is not teacher[1][0]  # a copy, which may be donated


def test_keys_with_slashes_and_integer_keys_stay_whole() -> None:
    """Haiku names a module in one key."""
    teacher = {f"net/layer_{i}/~/linear": {"w": np.full(2, i), "b": np.full(1, i)} for i in (0, 1, 2, 10)}
    teacher = {**teacher, "net/head": {"w": np.ones(3)}, "net/layer_norm": {"scale": np.ones(1)}}
    student = distill.take_layers(teacher, r"net/layer_(\d+)/.*", (1, 3))
    assert set(student) == {"net/layer_0/~/linear", "net/layer_1/~/linear", "net/head", "net/layer_norm"}
    assert [student[f"net/layer_{i}/~/linear"]["b"].item() for i in (0, 1)] == [1, 10]
    student = distill.take_layers({"h": {i: {"w": np.full(2, i)} for i in range(4)}}, r"h/(\d+)/.*", 2)
    assert {i: x["w"][0].item() for i, x in student["h"].items()} == {0: 1, 1: 3}


@pytest.mark.parametrize("make", [
    lambda x: core.compress(x, prune.magnitude(0.5)), lambda x: core.compress(x, quant.rtn(4)),
    lambda x: tensors.LowRank(x[:, :, :2], x[:, 2:], inputs=1),
])  # fmt: skip
def test_layers_of_nodes_are_cut_too(make: Callable[[jax.Array], Any], draw: np.random.Generator) -> None:
    teacher = {"stack": make(draw.normal(size=(4, 4, 4)).astype(np.float32)), "head": np.ones((4, 2))}
    student = distill.take_layers(teacher, "stack", (0, 3))
    assert isinstance(student["stack"], type(teacher["stack"]))
    whole = core.materialize(teacher)["stack"]
    np.testing.assert_allclose(core.materialize(student)["stack"], whole[np.array([0, 3])], rtol=1e-6)
    numbered = {f"layer_{i}": {"kernel": student["stack"]} for i in range(2)}
    found = distill.take_layers(numbered, r"layer_(\d+)/kernel", (1,))
    jax.tree.map(np.testing.assert_array_equal, found, {"layer_0": {"kernel": student["stack"]}})


def test_a_node_that_does_not_come_apart_is_refused() -> None:
    across = tensors.LowRank(jnp.ones((4, 2)), jnp.ones((2, 3, 3)), inputs=1)
    with pytest.raises(ValueError, match="'stack' is a LowRank whose layers do not come apart"):
        distill.take_layers({"stack": across}, "stack", 2)


def test_boxes_of_flax_are_cut_and_stay() -> None:
    teacher = {
        "w": nn.Partitioned(jnp.arange(4.0)[:, None], ("layers", None)),
        "head": nn.Partitioned(jnp.ones(2), ("a",)),
    }
    student = distill.take_layers(teacher, "w", (1, 2))
    assert jax.tree.structure(student) == jax.tree.structure(teacher)
    np.testing.assert_array_equal(student["w"].value[:, 0], [1, 2])


def test_bad_arguments() -> None:
    tree = {"a_0": jnp.ones(3), "a_1": jnp.ones(3), "b": [jnp.ones(2)]}
    for pattern, keep, message in (
        ("(", 1, "not a regular expression"),
        ("c.*", 1, "matches no path"),
        (r"(a)_\d", 1, "matches 'a' in 'a_0'; it must match the number"),
        (r"a_(\d)", 3, "keep=3 does not fit 2 layers"),
        (r"a_(\d)", (1, 0), "rising positions"),
        (r"a(?:_(\d))?|b/0", 1, "matches None in 'b/0'"),
        (r"a_(\d)", 1, "not in nested dictionaries"),
        (r"a_\d|b/0", 1, "stacks of"),
    ):
        with pytest.raises(ValueError, match=message):
            distill.take_layers(tree, pattern, keep)
    with pytest.raises(ValueError, match="some weights of 'a_1', but not 'a_1/b'"):
        distill.take_layers({"a_1": {"b": 1.0, "w": 1.0}, "a_11": {"w": 2.0}}, r"a_(\d+)/w", 1)
