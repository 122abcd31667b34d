"""Files of what lies on several devices: the same bytes, leaf by leaf, and every shard where it belongs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import artifact, coding, core, tensors
from compressjax.artifact import _file, _spec
from tests import helpers

KERNEL = helpers.array(0, (8, 12))


def tree(x=KERNEL):
    codes = jnp.clip(jnp.round(x * 3), -7, 7).astype(jnp.int8).T
    return {
        "grid": tensors.Quantized(codes, jnp.full((4, 12), 0.5), bits=4, order=(1, 0)),
        "masked": tensors.Masked(x, x > 0),
        "factors": tensors.LowRank(x[:, :2], x[:2]),
        "dense": x.astype(jnp.bfloat16),
        "again": x,
        "bias": x[0, :3],
        "key": jax.random.key(1),
        "step": 3,
    }


def mesh():
    return jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def test_shards_go_where_they_belong_and_back_into_the_same_bytes(tmp_path, monkeypatch):
    one, two = tmp_path / "one.cjx", tmp_path / "two.cjx"
    artifact.save(one, tree(), metadata={"seed": 1}, program=b"code")
    taken = []
    monkeypatch.setattr(_file, "to_spec", lambda leaf: taken.append(leaf) or _spec.to_spec(leaf))
    found = artifact.load(one, sharding=NamedSharding(mesh(), PartitionSpec("data", "model")))
    assert (found.program, found.manifest.metadata["seed"]) == (b"code", 1)
    got, want = ({k: core.materialize(t[k]) for k in ("grid", "masked", "dense")} for t in (found.tree, tree()))
    assert helpers.difference(got, want) == ""
    specs = jax.tree.map(
        lambda x: tuple(x.sharding.spec), {k: found.tree[k] for k in ("grid", "masked", "factors", "bias")}
    )
    assert (specs["grid"].codes, specs["grid"].scale) == (("model", "data"), ("data", "model"))
    assert (specs["factors"].left, specs["factors"].right) == (("data", None), (None, "model"))
    assert (specs["masked"].mask, specs["bias"]) == (("data", "model"), (None,))
    assert {s.data.shape for s in found.tree["dense"].addressable_shards} == {(4, 6)}
    assert found.tree["step"].dtype == np.int64
    artifact.save(two, found.tree, metadata={"seed": 1}, program=b"code")
    assert two.read_bytes() == one.read_bytes()
    assert len(taken) == len(tree())


def test_no_more_leaves_are_in_memory_than_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    alive, most = [], []

    class Counted(np.ndarray):
        """An array that is counted while it lives."""

        def __del__(self):
            alive.pop()

    def make(i):
        alive.append(i)
        most.append(len(alive))
        return np.full(2000, i, np.int32).view(Counted)

    leaves = {str(i): (lambda i=i: make(i)) for i in range(12)}
    coding.write(tmp_path / "a.cjx", leaves)
    assert len(most) == 12
    assert max(most) <= 4
    want = coding.dumps({str(i): np.full(2000, i, np.int32) for i in range(12)})
    assert (tmp_path / "a.cjx").read_bytes() == want


def test_shardings_by_path_and_what_is_missing(tmp_path):
    file = tmp_path / "a.cjx"
    shared = KERNEL
    artifact.save(file, {"a": shared, "b": shared, "c": KERNEL + 1})
    rows, columns = (NamedSharding(mesh(), PartitionSpec(*spec)) for spec in (("data",), (None, "data")))
    found = artifact.load(
        file, sharding={"a": rows, "b": rows, "c": columns}, like={"a": KERNEL, "b": KERNEL, "c": KERNEL}
    )
    assert found.tree["a"] is found.tree["b"]
    assert found.tree["c"].sharding.spec == PartitionSpec(None, "data")
    by_shape = artifact.load(file, sharding=lambda path, leaf: rows if path == "a" else columns)
    assert by_shape.tree["a"].sharding.spec == PartitionSpec("data", None)
    with pytest.raises(artifact.ArtifactError, match="has none for the leaf 'c'"):
        artifact.load(file, sharding={"a": rows})
    with pytest.raises(artifact.ArtifactError, match="gives a str for the leaf 'a'; use NamedSharding"):
        artifact.load(file, sharding=lambda path, leaf: "rows")


def test_groups_that_would_lie_on_two_devices_are_whole_on_each(tmp_path):
    file = tmp_path / "a.cjx"
    node = tensors.Quantized(jnp.ones((6, 4), jnp.int8), jnp.ones((3, 4)), bits=4)
    artifact.save(file, {"w": node})
    found = artifact.load(file, sharding=NamedSharding(mesh(), PartitionSpec("data"))).tree["w"]
    assert found.codes.sharding.spec == PartitionSpec()
    np.testing.assert_array_equal(found.codes, node.codes)
