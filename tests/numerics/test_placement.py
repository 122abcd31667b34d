"""Requests of where arrays lie, read off the programs and the results."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import measure
from compressjax.numerics._placement import alike, mesh_of, split
from tests import helpers

X = helpers.array(0, (8, 12))


def spread(kind="Auto"):
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType[kind],) * 2)
    return jax.device_put(X, NamedSharding(mesh, PartitionSpec("data", "model")))


def test_columns_are_solved_where_they_are_sent():
    """A sort of columns that lie on four devices would gather; split by columns, shards move once to and fro."""

    def ordered(x):
        return alike(jnp.sort(split(x, 1), axis=0), x)

    compiled = jax.jit(ordered).lower(spread()).compile()
    found = compiled(spread())
    np.testing.assert_array_equal(found, np.sort(np.asarray(X), axis=0))
    assert found.sharding.spec == PartitionSpec("data", "model")
    assert "all-gather" not in measure.collective_bytes(compiled)
    assert measure.collective_bytes(compiled)["all-to-all"] > 0


def test_an_axis_goes_to_as_many_devices_as_divide_it():
    found = jax.jit(lambda x: split(x[:, :6], 1))(spread())
    assert found.sharding.spec == PartitionSpec(None, "data")
    np.testing.assert_array_equal(found, X[:, :6])
    assert split(X, 1) is X


def test_meshes_of_several_devices_outside_of_shard_map():
    assert mesh_of(X) is None
    assert mesh_of(spread()).size == mesh_of(spread("Explicit")).size == 4
    one = jax.make_mesh((1,), ("data",))
    assert mesh_of(jax.device_put(X, NamedSharding(one, PartitionSpec("data")))) is None
    seen = []

    def inside(x):
        seen.append((mesh_of(x), split(x, 1) is x))
        return alike(x, x)

    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    rows = PartitionSpec("data")
    jax.eval_shape(jax.shard_map(inside, mesh=mesh, in_specs=rows, out_specs=rows), X)
    assert seen == [(None, True)]
