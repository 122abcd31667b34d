"""Value paths: fields of the caller keep their names, wrappers of Flax do not show."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from compressjax import artifact, core
from compressjax.interpret import observe
from tests import toys

ONE = jnp.ones((2, 3))
TWO = jnp.zeros(3)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Held:
    """A container of the caller with fields that the variables of NNX have too."""

    query: Any
    value: Any
    raw_value: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Alone:
    """A container of the caller around one array."""

    value: Any


def test_fields_called_value_keep_their_names(tmp_path: pathlib.Path) -> None:
    tree = {"attention": Held(jnp.ones((2, 2)), jnp.ones((2, 2)), Alone(jnp.ones((2, 2))))}
    paths = ["attention/query", "attention/value", "attention/raw_value/value"]
    assert list(core.values(tree)) == list(core.nodes(tree)) == paths
    stored = core.compress(tree, {".*/(query|key|value)": toys.grid()})
    assert all(map(core.is_node, core.nodes(stored).values()))
    _, stats = observe(lambda p, x: x @ p["attention"].query @ p["attention"].value)(tree, jnp.ones((3, 2)))
    assert set(stats) == set(paths[:2])
    artifact.save(tmp_path / "a.cjx", tree)
    loaded = core.values(artifact.load(tmp_path / "a.cjx").tree)
    doubled = core.with_values(tree, {path: 2 * x for path, x in loaded.items()})
    assert (doubled["attention"].raw_value.value == 2).all()


def test_variables_of_nnx_keep_theirs() -> None:
    """The path of a variable is that of its attribute, in modules and in states, also for attributes called value."""

    class Frozen(nnx.Param):  # type: ignore[type-arg] # a variable of the caller is a variable
        pass

    class Attention(nnx.Module):
        def __init__(self) -> None:
            self.value = nnx.Param(jnp.ones((2, 2)))
            self.raw_value = Frozen(jnp.ones((2, 2)))
            self.query = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    module = Attention()
    for tree in (module, nnx.state(module)):
        assert set(core.values(tree)) == {"value", "raw_value", "query/kernel", "query/bias"}
        doubled = core.with_values(tree, {path: 2 * x for path, x in core.values(tree).items()})
        assert (core.values(doubled)["value"] == 2).all()
        assert type(doubled["raw_value"] if tree is not module else doubled.raw_value) is Frozen
        assert core.is_node(core.nodes(core.compress(tree, {"value": toys.grid()}))["value"])


def test_boxes_of_linen_do_not_show_in_paths() -> None:
    """Sharding names in a box change no path, so masks and statistics of the plain tree fit the boxed one."""
    boxed = {"value": linen.Partitioned(Alone(ONE), (None, "model")), "w": linen.LogicallyPartitioned(TWO, ("a", "b"))}
    assert list(core.values(boxed)) == list(core.values(linen.unbox(boxed))) == ["value/value", "w"]
    changed = core.with_values(boxed, {"w": ONE})
    assert isinstance(changed["w"], linen.LogicallyPartitioned)
    assert changed["w"].value is ONE
