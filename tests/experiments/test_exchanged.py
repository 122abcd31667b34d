"""Compressed gradients: the study runs end to end on four devices, with the bytes of the formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from compressjax import gradients
from configs import compressed_gradients as config_file
from experiments import app
from experiments.reproduce import exchanged, grid

pytestmark = pytest.mark.loose


@pytest.mark.thorough
def test_runs_and_reads_bytes(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(4))
    grid.reproduce(launch)
    text = (tmp_path / "table.md").read_text()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in text.splitlines() if line.startswith("| ")}
    assert set(exchanged.settings(config)) <= set(rows)
    whole = 64 * 16 + 16 + 16 * 10 + 10
    assert float(rows["dense"][1]) == pytest.approx(2 * 4 * whole * 3 / 4 / 1000, abs=0.01)
    thin = 2 * (64 + 16) + 2 * (16 + 10) + 26  # two kernels, and biases as they are
    assert float(rows["power 2"][1]) == pytest.approx(2 * 4 * thin * 3 / 4 / 1000, abs=0.01)


def test_one_device_and_uneven_batches_are_named(data_cache, tmp_path):
    config = config_file.get_config("smoke").to_dict()
    launch = app.Launch(config, str(tmp_path), "", data_cache, app.make_mesh(1))
    with pytest.raises(ValueError, match="there is 1 device, and nothing to exchange"):
        exchanged.prepare(launch)
    uneven = launch._replace(config={**config, "batch": 18}, mesh=app.make_mesh(4))
    with pytest.raises(ValueError, match="batch=18 must be a multiple of the 4 devices"):
        exchanged.prepare(uneven)


def test_workers_on_one_device_train_as_devices_do(data_cache, tmp_path):
    """A mapped axis of four workers, and four devices under `shard_map`, move alike by short top-k."""
    config = config_file.get_config("smoke").to_dict()
    exchange = exchanged._exchange(config, "short top-k, no feedback")
    own = exchanged.optimizer(config)
    params = {"kernel": jax.random.normal(jax.random.key(0), (6, 4))}
    batch = (jax.random.normal(jax.random.key(1), (8, 6)), jax.random.normal(jax.random.key(2), (8, 4)))

    def loss(params, batch):
        return jnp.mean((batch[0] @ params["kernel"] - batch[1]) ** 2)

    init, step = exchanged._together(loss, exchange, own, 4)
    together, state = params, init(params)
    tx = optax.chain(exchange, own)
    whole, spread = PartitionSpec(), gradients.specs(jax.eval_shape(tx.init, params), exchanged.AXIS)
    mesh = jax.make_mesh((4,), (exchanged.AXIS,), axis_types=(jax.sharding.AxisType.Auto,))

    def local(params, state, batch):
        updates, state = tx.update(jax.grad(loss)(params, batch), state, params)
        return optax.apply_updates(params, updates), state

    made = jax.jit(jax.shard_map(tx.init, mesh=mesh, in_specs=whole, out_specs=spread, check_vma=False))
    run = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=(whole, spread, PartitionSpec(exchanged.AXIS)),
                                out_specs=(whole, spread), check_vma=False))  # fmt: skip
    apart, held = params, made(params)
    for _ in range(3):
        together, state = step(together, state, batch)
        apart, held = run(apart, held, batch)
    np.testing.assert_allclose(together["kernel"], apart["kernel"], rtol=1e-5, atol=1e-6)
    assert np.abs(together["kernel"] - params["kernel"]).max() > 1e-3
