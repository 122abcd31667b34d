"""The carrier of a weight."""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from compressjax.interpret.jaxpr._weight import Row, Weight, varying_axes
from tests.interpret import samples


def test_weights_are_pytrees_that_keep_their_path() -> None:
    node = samples.low_rank(samples.rng(), (4, 3))
    weight = Weight(node, "kernel")
    assert weight.shape == (4, 3)
    doubled = jax.tree.map(lambda x: 2 * x, weight)
    assert doubled.path == "kernel"
    samples.assert_close(doubled.node.left, 2 * node.left)
    assert jax.tree.structure(weight) != jax.tree.structure(Weight(node, "other"))


def test_varying_axes_inside_and_outside_of_shard_map() -> None:
    assert varying_axes(jnp.ones(2)) == frozenset()
    mesh = jax.make_mesh((2, 2), ("d", "m"), axis_types=(AxisType.Auto,) * 2)
    seen = {}

    def inside(x: jax.Array, y: jax.Array) -> jax.Array:
        seen["x"], seen["y"] = varying_axes(x), varying_axes(y)
        return x

    spec = PartitionSpec
    jax.shard_map(inside, mesh=mesh, in_specs=(spec("d"), spec()), out_specs=spec("d"))(jnp.ones(4), jnp.ones(4))
    assert seen == {"x": frozenset({"d"}), "y": frozenset()}


def test_rows_and_reasons_are_plain_data() -> None:
    row = Row("a/kernel", "Masked", "dense", "dot_general", "why")
    assert row._asdict()["status"] == "dense"
    assert len({row, Row(*row)}) == 1
