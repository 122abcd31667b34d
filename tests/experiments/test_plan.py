"""The plan on paper: parameters by count, bytes as compiled programs send them, and nothing allocated."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from compressjax import gradients, measure
from configs import plan_7b as config_file
from experiments import app, plan

pytestmark = pytest.mark.loose
CONFIG = config_file.get_config("smoke").to_dict()


@pytest.fixture
def mesh():
    return jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def test_costs_are_those_of_the_layers(tmp_path, capsys):
    before = len(jax.live_arrays())
    plan.plan(app.Launch(CONFIG, str(tmp_path), "", "", app.make_mesh(1)))
    assert len(jax.live_arrays()) <= before
    lines = [line.split("|")[1:-1] for line in (tmp_path / "plan.md").read_text().splitlines() if line.startswith("|")]
    assert [line[1].strip() for line in lines[2:]] == [
        "data parallel", "sharded over all", "data parallel", "sharded over all", "sharded over 4",
    ]  # fmt: skip
    assert "s" in capsys.readouterr().out.splitlines()[-1]
    d, depth, vocabulary, length = 32, 2, 64, 16
    layer = 12 * d**2 + 13 * d
    assert sum(p.size for p in plan.shapes(CONFIG["model"])) == depth * layer + (vocabulary + length + 2) * d
    one = plan.sequence(CONFIG["model"], jnp.dtype("float32"))
    # Two passes forward and two products for every one of them backward; attention has two products of its own.
    products = depth * 8 * length * (12 * d**2 + 2 * length * d) + 6 * length * vocabulary * d
    # The last product of a layer is not computed again.
    assert products - depth * 8 * length * d**2 < one.flops < 1.35 * products
    assert one.kept == depth * length * d * 4


def test_what_the_backward_pass_reads():
    p, x = jax.ShapeDtypeStruct((4, 3), jnp.float32), jax.ShapeDtypeStruct((5, 4), jnp.float32)
    assert plan.saved_bytes(lambda p, x: jnp.exp(x @ p), p, x) == 4 * 5 * 3
    assert plan.saved_bytes(lambda p, x: x @ p, p, x) == 0


def test_bytes_in_a_copy_are_those_of_three_collectives(mesh):
    def step(p, x):
        whole = jax.lax.all_gather(p, "data", tiled=True)
        slope = jax.lax.psum_scatter(x.T @ jnp.sin(x @ whole), "data", tiled=True)
        return slope, jax.lax.all_gather(slope, "data", tiled=True)  # stands for the gather of the backward pass

    spread = PartitionSpec("data")
    p, x = jax.ShapeDtypeStruct((8, 8), jnp.float32), jax.ShapeDtypeStruct((4, 8), jnp.float32)
    out = (spread, PartitionSpec())
    mapped = jax.shard_map(step, mesh=mesh, in_specs=(spread, spread), out_specs=out, check_vma=False)
    assert plan.sharded_bytes([p], 4, 4) == measure.wire_bytes(jax.jit(mapped).lower(p, x).compile()) == 3 * 256 * 3 / 4


def test_bytes_between_copies_are_those_of_the_exchange(mesh):
    tx = gradients.exchange(gradients.power(1), "data")
    p = {"kernel": jax.ShapeDtypeStruct((8, 6), jnp.float32)}
    state, whole = jax.eval_shape(tx.init, p), PartitionSpec()
    spec = gradients.specs(state, "data")
    shared = {"mesh": mesh, "check_vma": False}
    state = jax.eval_shape(jax.shard_map(tx.init, in_specs=whole, out_specs=spec, **shared), p)
    step = jax.shard_map(tx.update, in_specs=(whole, spec), out_specs=(whole, spec), **shared)
    sent = measure.wire_bytes(jax.jit(step).lower(p, state).compile())
    assert plan.copies_bytes([p["kernel"]], 1, 4, ("power", {"rank": 1})) == sent == 2 * 4 * 14 * 3 / 4


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="sequences=15 must be a multiple of 4 devices"):
        plan.table({**CONFIG, "sequences": 15})
    with pytest.raises(ValueError, match="odd shards over 3, which does not divide 4"):
        plan.table({**CONFIG, "layouts": (("odd", 3, None),)})
    with pytest.raises(ValueError, match="qsgd sends all messages to all; choose one of power"):
        plan.copies_bytes([], 1, 2, ("qsgd", {}))
