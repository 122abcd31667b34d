"""Sources: arrays, memory maps, batches and sharded arrays give the same; bad rows are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data import laws

ROWS = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)


def test_arrays_maps_batches_and_shards_agree(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    whole = data.fit(data.pca(2), ROWS)
    seen = []
    laws.assert_close(data.fit(data.pca(2), np.load(tmp_path / "rows.npy", mmap_mode="r"), progress=seen.append), whole)
    assert seen == [100]
    laws.assert_close(data.fit(data.pca(2), (ROWS[i : i + 30] for i in range(0, 100, 30)), progress=seen.append), whole)
    assert seen[1:] == [30, 60, 90, 100]
    mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.device_put(ROWS[:96], jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data")))
    laws.assert_close(data.fit(data.pca(2), [rows]), data.fit(data.pca(2), ROWS[:96]))
    laws.assert_close(data.fit(data.standard_scaler(), (10 * ROWS).astype(np.int32)),
               data.fit(data.standard_scaler(), (10 * ROWS).astype(np.int32).astype(np.float32)))  # fmt: skip


def test_devices_merge_along_a_named_axis():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    reducer, spec = data.pca(2), jax.sharding.PartitionSpec
    rows = ROWS[:96] * 0.5

    def learned(part):
        return data.all_merged(reducer, reducer.update(reducer.init(4), part), "data")

    states = jax.shard_map(learned, mesh=mesh, in_specs=spec("data"), out_specs=spec(), check_vma=False)
    laws.assert_close(reducer.finalize(jax.jit(states)(rows)), data.fit(reducer, rows))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([ROWS, np.where(np.arange(400).reshape(100, 4) == 42, np.nan, ROWS)], "row 110, column 2 is nan"),
        ([jnp.full((3, 2), jnp.inf)], "row 0, column 0 is inf"),
        ([ROWS, ROWS[:, :3]], "row 100 has 3 features, the rows before 4"),
        ([np.array([["a", "b"]])], r"the batch at row 0 is <U1 of shape \(1, 2\)"),
        ([ROWS[0]], r"of shape \(4,\)"),
        ([], "the source has no rows"),
        (ROWS[0], r"not ndarray of shape \(4,\)"),
        ("rows.csv", "not str"),
        (7, "not int"),
    ],
)
def test_bad_sources_are_named(source, said):
    with pytest.raises(ValueError, match=said):
        data.fit(data.standard_scaler(), source)
