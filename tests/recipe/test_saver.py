"""The last two states stay, and a state fits only the leaves that it was taken from."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import recipe
from compressjax.recipe._saver import Saver, described, restore
from tests.experiments.test_stopping import ROOT

STATE = {"key": jax.random.key(7), "params": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3, jnp.bfloat16)}, "n": 3}


def test_the_last_two_stay(tmp_path):
    store = recipe.Store(str(tmp_path))
    saver = Saver(store, "s", 0)
    for step in (1, 2, 3):
        saver.begin(step, {"x": np.full(2, step)}, [])
        assert len(store.names("s")) >= step - 1
    saver.wait()
    assert store.names("s") == ["s/step-000000002", "s/step-000000003"]
    assert str(tmp_path / "s" / "step-000000003") in saver.last_good()


def test_leaves_are_described_by_path_dtype_and_shape():
    assert described(STATE)[0] == "key key<fry>[]"
    assert described(STATE)[2:] == ["params/b bfloat16[3]", "params/w float32[2,3]"]


def test_a_state_comes_back_with_its_keys():
    state, reason = restore(STATE, jax.tree.leaves(STATE), described(STATE))
    assert reason == ""
    assert jax.random.uniform(state["key"]) == jax.random.uniform(STATE["key"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"params": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}}, "params/b float32[3], where the stage has params/b b"),
        ({"params": {"w": jnp.ones((2, 4)), "b": STATE["params"]["b"]}}, "params/w float32[2,4], where"),
        ({"z": jnp.ones(1)}, "z float32[1], where the stage has nothing"),
    ],
)
def test_the_first_leaf_that_differs_is_named(change, said):
    other = {**STATE, **change}
    state, reason = restore(STATE, jax.tree.leaves(other), described(other))
    assert state is None
    assert said in reason


def test_without_names_shapes_are_compared():
    assert "differs is 4]" in restore([jnp.ones(3)], [np.ones(4)], None)[1]
    assert restore([jnp.ones(3)], [np.ones(3)], None)[1] == ""


def test_a_state_of_one_device_lands_on_four():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    like = {"w": jax.device_put(jnp.zeros(8), split)}
    state, _ = restore(like, [np.arange(8.0, dtype=np.float32)], None)
    assert state["w"].sharding == split
    assert state["w"].tolist() == list(range(8))


@pytest.mark.thorough
def test_a_state_of_eight_devices_goes_on_on_two(tmp_path):
    """Parameters with a node, moments and masks: the same bits once restored, and the same numbers four steps on."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.recipe.eight_devices", str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["split"] >= 9  # three kernels and their moments
    assert found["devices"] == [2]
    assert found["equal"]
    assert found["zeros"] == 64  # half of 128
    assert found["apart"] < 1e-5
