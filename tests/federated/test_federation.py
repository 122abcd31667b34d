"""Federated averaging: SGD where it must be, weights, devices, and bytes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from compressjax.federated import fed_avg, fed_prox, federation, integer_sum, scaffold
from compressjax.gradients import power, rounded, specs, top_k
from tests.federated.quadratics import CLIENTS, RATE, ROUNDS, SHAPE, batches, loss, play, slope


def test_one_step_of_all_clients_is_sgd():
    states, losses = play(federation(loss, fed_avg(RATE), CLIENTS), steps=1)
    x = np.zeros(SHAPE)
    for n in range(ROUNDS):
        x = x - RATE * slope(x).mean(0)
        np.testing.assert_allclose(states.params["kernel"][n], x, atol=1e-6)
    assert losses[0] > losses[-1]


def test_clients_weigh_as_much_as_they_have_and_may_train_in_turn():
    chosen, weights = np.array([[6, 1, 3]]), np.array([1.0, 5.0, 2.0])
    states, _ = play(federation(loss, fed_avg(RATE), CLIENTS, at_once=2), 1, 2, weights, chosen)
    y = np.zeros((3, *SHAPE))
    for _ in range(2):
        y = y - RATE * slope(y, chosen[0])
    np.testing.assert_allclose(states.params["kernel"][0], np.average(y, 0, weights), atol=1e-6)


@pytest.mark.parametrize("up", [integer_sum(6), top_k(0.4)], ids=["integers", "top_k"])
def test_devices_equal_mapped_clients(up):
    """On four devices with two clients each; integer sums have the same bits."""
    setup = {"up": up, "down": rounded("int8")}
    one, _ = play(federation(loss, scaffold(RATE), CLIENTS, **setup))
    fed = federation(loss, scaffold(RATE), CLIENTS, "data", **setup)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    state = fed.init({"kernel": jnp.zeros(SHAPE)}, jax.random.key(0))
    spec, spread, everyone = specs(state, "data"), PartitionSpec("data"), jnp.arange(CLIENTS)
    run = jax.jit(jax.shard_map(fed.round, mesh=mesh, in_specs=(spec, spread, spread), check_vma=False,
                                out_specs=(spec, PartitionSpec())))  # fmt: skip
    for _ in range(ROUNDS):
        state, _ = run(state, everyone, batches(everyone))
    last = jax.tree.map(lambda x: x[-1], one)
    for ours, other in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)


def test_bytes_are_those_of_the_messages():
    params = {"bias": jax.ShapeDtypeStruct((10,), jnp.float32), "kernel": jax.ShapeDtypeStruct((20, 10), jnp.float32)}
    plain = federation(loss, fed_avg(0.1), 4).bytes(params, 4)
    assert plain == (840, 840)
    small = federation(loss, scaffold(0.1), 4, up=top_k(0.1), down=power(2)).bytes(params, 4)
    assert small == (40 + 8 * 20, 40 + 840 + 4 * 2 * 30)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="up is a float 0.1; pass a compressor"):
        federation(loss, fed_avg(0.1), 2, up=0.1)
    with pytest.raises(ValueError, match="down is a IntegerSum; pass a compressor"):
        federation(loss, fed_avg(0.1), 2, down=integer_sum(8))
    with pytest.raises(ValueError, match="clients=0 must be at least 1"):
        federation(loss, fed_prox(0.1), 0)
    with pytest.raises(ValueError, match=r"select='head' matches no leaf; the leaves are \['bias'\]"):
        federation(loss, fed_avg(0.1), 2, up=top_k(0.1), select="head").init({"bias": jnp.zeros(3)}, jax.random.key(0))
    fed = federation(loss, scaffold(0.1), 2)
    state = fed.init({"kernel": jnp.zeros(SHAPE)}, jax.random.key(0))
    with pytest.raises(ValueError, match="all clients weigh the same"):
        fed.round(state, np.arange(2), batches(np.arange(2)), jnp.ones(2))
