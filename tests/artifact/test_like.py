"""Files in the caller's containers: NNX states, modules with functions, named tuples, dataclasses; checked by leaf."""

from collections import OrderedDict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, struct

from compressjax import artifact, tensors


class Pair(NamedTuple):
    """A container that files do not know."""

    second: object
    first: object


@struct.dataclass
class Layer:
    """A pytree dataclass with a static field."""

    kernel: object
    name: str = struct.field(pytree_node=False, default="layer")


@jax.tree_util.register_pytree_with_keys_class
class Module:
    """A module with a function among its leaves, as Equinox has."""

    def __init__(self, weight, activation):
        self.weight, self.activation = weight, activation

    def tree_flatten_with_keys(self):
        key = jax.tree_util.GetAttrKey
        return [(key("weight"), self.weight), (key("activation"), self.activation)], None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


def saved(tmp_path, tree):
    path = tmp_path / "model.cjx"
    artifact.save(path, tree)
    return path


def test_containers_are_those_of_the_caller(tmp_path):
    tree = OrderedDict(stem=Layer(jnp.ones((2, 3)), "stem"), body=Pair([jnp.zeros(2)], {"a": 4}), also=2.5)
    back = artifact.load(saved(tmp_path, tree), like=tree).tree
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert (back["stem"].name, back["body"].second[0].tolist()) == ("stem", [0, 0])
    assert type(back["body"].first["a"]) is int
    abstract = jax.eval_shape(lambda: {"x": jnp.ones(3)})
    assert artifact.load(saved(tmp_path, {"x": jnp.ones(3)}), like=abstract).tree["x"].tolist() == [1, 1, 1]


def test_nnx_states_with_dropout_come_back(tmp_path):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)])

    net = Net(nnx.Rngs(0))
    graph, state = nnx.split(net)
    back = artifact.load(saved(tmp_path, state), like=nnx.state(Net(nnx.Rngs(1)))).tree
    again = nnx.merge(graph, back)
    assert jnp.array_equal(again.layers[0](jnp.ones((1, 2))), net.layers[0](jnp.ones((1, 2))))
    assert jnp.array_equal(again.layers[1](jnp.ones(50)), net.layers[1](jnp.ones(50)))


def test_nodes_stand_where_arrays_stood_and_functions_stay(tmp_path):
    node = tensors.LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)))
    path = saved(tmp_path, {"weight": node})
    like = Module(jnp.zeros((4, 3)), jnp.tanh)
    back = artifact.load(path, like=like).tree
    assert isinstance(back.weight, tensors.LowRank)
    assert back.activation is jnp.tanh
    assert isinstance(artifact.load(path, like=back).tree.weight, tensors.LowRank)


def test_what_differs_is_named(tmp_path):
    path = saved(tmp_path, {"a": jnp.ones((2, 3)), "b": jnp.ones(2), "n": 3, "key": jax.random.key(0)})
    like = {"a": jnp.ones((3, 2)), "c": jnp.ones(2), "n": 3.5, "key": jax.random.key(0, impl="rbg")}
    with pytest.raises(ValueError, match="the file lacks 'c'; like= lacks 'b'") as caught:
        artifact.load(path, like=like)
    for part in (
        "a (float32[2, 3] in the file, float32[3, 2] in like=)",
        "key (key<fry>",
        "n (int",
        "without it",
    ):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="float32.* in the file, float16"):
        artifact.load(saved(tmp_path, [jnp.ones(2)]), like=[np.ones(2, np.float16)])
