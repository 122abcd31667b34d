"""Students with layers of their teacher: Flax modules and stacks run as if the other layers were the identity."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


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


def test_bad_arguments() -> None:
    tree = {"a_0": jnp.ones(3), "a_1": jnp.ones(3), "b": [jnp.ones(2)]}
    for pattern, keep, message in (
        ("(", 1, "not a regular expression"),
        ("c.*", 1, "matches no path"),
        (r"(a)_\d", 1, "matches 'a'; it must match the number"),
        (r"a_(\d)", 3, "keep=3 does not fit 2 layers"),
        (r"a_(\d)", (1, 0), "rising positions"),
        (r"a_(\d)", 1, "not in nested dictionaries"),
        (r"a_\d|b/0", 1, "stacks of"),
    ):
        with pytest.raises(ValueError, match=message):
            distill.take_layers(tree, pattern, keep)
