"""Bookkeeping of records."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from compressjax.interpret.jaxpr._records import Key, Records, add, empty, joined, named
from compressjax.interpret.observing._statistics import of_rows
from tests.interpret import samples


def record(n: int, width: int) -> object:
    """Statistics of n rows."""
    return of_rows(samples.floats(samples.rng(n), n, width), gram=False)


def test_records_of_other_axes_or_shapes_stay_apart() -> None:
    records: Records = {}
    for axes, n, width in (((0,), 2, 3), ((0,), 4, 3), ((1,), 5, 3), ((0,), 7, 4)):
        add(records, Key("w", axes, ()), record(n, width))
    assert {key: float(r.count) for key, r in records.items()} == {
        Key("w", (0,), (3,)): 6.0, Key("w", (1,), (3,)): 5.0, Key("w", (0,), (4,)): 7.0,
    }  # fmt: skip


def test_joining_leaves_both_as_they_were() -> None:
    a, b = (
        {Key("w", (0,), (3,)): record(2, 3)},
        {Key("w", (0,), (3,)): record(4, 3), Key("v", (0,), (3,)): record(1, 3)},
    )
    both = joined(a, b)
    assert {k.path: float(r.count) for k, r in both.items()} == {"w": 6.0, "v": 1.0}
    assert len(a) == 1
    assert float(a[Key("w", (0,), (3,))].count) == 2.0


def test_records_are_pytrees() -> None:
    records = {Key("b", (1,), (3,)): record(2, 3), Key("a", (0,), (3,)): record(1, 3)}
    doubled = jax.jit(lambda r: jax.tree.map(lambda v: 2 * v, r))(records)
    assert float(doubled[Key("b", (1,), (3,))].count) == 4.0


def test_empty_records_are_the_unit_of_joining() -> None:
    x = samples.floats(samples.rng(), 4, 3)
    make = lambda x: {Key("w", (0,), (3,)): of_rows(x, gram=True)}  # noqa: E731
    zero = empty(make, x)
    for a, b in zip(jax.tree.leaves(joined(zero, make(x))), jax.tree.leaves(make(x)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_empty_records_vary_over_devices_as_the_real_ones() -> None:
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))

    def inside(x: jax.Array) -> jax.Array:
        zero = empty(lambda x: {Key("w", (0,), (3,)): of_rows(x, gram=False)}, x)[Key("w", (0,), (3,))].total
        return jax.lax.fori_loop(0, 2, lambda i, c: c + x.sum(0), zero)

    spec = PartitionSpec
    out = jax.shard_map(inside, mesh=mesh, in_specs=spec("d"), out_specs=spec("d"))(jnp.ones((4, 3)))
    assert out.tolist() == [4.0] * 6


def test_names() -> None:
    keys = [
        Key("w", (1,), (4,)),
        Key("w", (0, 1), (6,)),
        Key("v", (1,), (5,)),
        Key("w", (0, 1), (2, 6)),
        Key("w", (1,), (5,)),
    ]
    records = {key: of_rows(jnp.ones((1, *key.shape)), gram=False) for key in keys}
    found = named(records, {"w": (2, 3, 4), "v": (2, 5)})
    assert list(found) == ["v", "w", "w#0x1", "w#1", "w#1:5"]
    # Where the sizes are not those of whole axes, the rows belong to a part of an axis.
    assert [s.layout.inputs for s in found.values()] == [(1,), (), (0, 1), (), ()]
