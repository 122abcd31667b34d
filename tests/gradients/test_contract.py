"""Laws of all methods: nothing is lost, devices equal mapped workers, equal workers one, and bytes are as stated."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import gradients as gr
from compressjax import measure
from tests.gradients.workers import AXIS, STEPS, WORKERS, gradients, run

COMPRESSORS = {
    "top_k": gr.top_k(0.2), "random_k": gr.random_k(0.2), "threshold": gr.threshold(0.5, 0.3),
    "scaled_sign": gr.scaled_sign(), "gathered_sign": gr.scaled_sign("gather"), "majority_sign": gr.majority_sign(),
    "qsgd": gr.qsgd(7, 8), "natural": gr.natural(), "power": gr.power(2), "int8": gr.rounded("int8"),
    "float8": gr.rounded("float8_e4m3fn"), "bfloat16": gr.rounded("bfloat16"),
    "count_sketch": gr.count_sketch(3, 7, 0.2), "short_top_k": gr.top_k(0.2, "int8", route="two-phase"),
}  # fmt: skip
# With equal gradients, these say the same from four workers as from one; the others draw, or cut in parts.
EQUAL = ("top_k", "random_k", "threshold", "gathered_sign", "majority_sign", "power", "count_sketch", "bfloat16")
# Bytes of collectives for a kernel of 6 x 5, in the program of one device of four: the formulas of docs/gradients.md.
BYTES = {
    "top_k": {"all-gather": 4 * 8 * 6}, "random_k": {"all-reduce": 4 * 6}, "threshold": {"all-gather": 4 * 8 * 9},
    "scaled_sign": {"all-to-all": 4 * (1 + 4), "all-gather": 4 * (1 + 4)},
    "gathered_sign": {"all-gather": 4 * (4 + 4)}, "majority_sign": {"all-gather": 4 * 4},
    "qsgd": {"all-gather": 4 * (16 + 4 * 4)}, "natural": {"all-gather": 4 * (30 + 4)},
    "power": {"all-reduce": 4 * 2 * (6 + 5)}, "int8": {"all-to-all": 32 + 16, "all-gather": 32 + 16},
    "float8": {"all-to-all": 32 + 16, "all-gather": 32 + 16}, "bfloat16": {"all-to-all": 64, "all-gather": 64},
    "count_sketch": {"all-reduce": 4 * 21}, "short_top_k": {"all-to-all": 4 * 7, "all-gather": 4 * 7},
}  # fmt: skip


def every(axis=AXIS):
    """One transformation of all compressors, so that there is one program for all of them."""
    return {name: gr.exchange(c, axis) for name, c in COMPRESSORS.items()}


class Together:
    """Transformations side by side, as one."""

    def __init__(self, parts):
        self.parts = parts

    def init(self, params):
        return {name: tx.init(params) for name, tx in self.parts.items()}

    def update(self, grads, state):
        done = {name: tx.update(grads, state[name]) for name, tx in self.parts.items()}
        return {name: x for name, (x, _) in done.items()}, {name: x for name, (_, x) in done.items()}


@pytest.fixture(scope="module")
def mapped():
    return run(Together(every()), gradients())


@pytest.mark.thorough
def test_workers_hold_the_same_averages(mapped):
    for name, found in mapped[0].items():
        kernel = found["kernel"]
        np.testing.assert_array_equal(kernel, np.broadcast_to(kernel[:, :1], kernel.shape), err_msg=name)
        assert np.abs(kernel).max() > 0


@pytest.mark.parametrize("name", [name for name, c in COMPRESSORS.items() if c.feedback == "error"])
def test_what_is_not_sent_is_remembered(mapped, name):
    """Updates of all steps and the mean error are the sum of all mean gradients."""
    updates, state = mapped[0][name]["kernel"], mapped[1][name]
    held = state.memory.tree["kernel"].mean(0)[0]
    np.testing.assert_allclose(updates[:, 0].sum(0) + held, gradients()["kernel"].mean(1).sum(0), atol=1e-5)


def test_devices_equal_mapped_workers(mapped):
    """Under shard_map on a mesh of four devices, with the state sharded by `specs`."""
    tx, grads = Together(every()), gradients()
    mesh = jax.make_mesh((WORKERS,), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    params = jax.tree.map(lambda x: jnp.zeros(x.shape[2:]), grads)
    spec = gr.specs(jax.eval_shape(tx.init, params), AXIS)
    spread = PartitionSpec(AXIS)

    def step(state, grads):
        return tx.update(jax.tree.map(lambda x: x[0], grads), state)

    shared = {"mesh": mesh, "check_vma": False}
    state = jax.jit(jax.shard_map(tx.init, in_specs=PartitionSpec(), out_specs=spec, **shared))(params)
    run_step = jax.jit(jax.shard_map(step, in_specs=(spec, spread), out_specs=(PartitionSpec(), spec), **shared))
    for number in range(STEPS):
        updates, state = run_step(state, jax.tree.map(lambda x, number=number: x[number], grads))
    for name, found in updates.items():
        np.testing.assert_allclose(found["kernel"], mapped[0][name]["kernel"][-1, 0], atol=1e-5, err_msg=name)


OPTIMIZERS = {
    "ef21": gr.exchange(gr.top_k(0.2), AXIS, feedback="ef21"), "deep": gr.deep({0: 0.5, 1: 0.2}, AXIS, clip=1.0),
    "one_bit_adam": gr.one_bit_adam(1, AXIS), "diloco": gr.diloco(optax.sgd(0.1), None, 2, AXIS),
    "local_sgd": gr.local_sgd(optax.adam(0.1), 2, AXIS, exchange=gr.exchange(gr.top_k(0.3), AXIS)),
}  # fmt: skip


@pytest.mark.turns(5)
@pytest.mark.parametrize("name", ["power", *OPTIMIZERS, *sorted(COMPRESSORS.keys() - {"power"})])
def test_an_explicit_axis_beside_the_workers_changes_nothing(name):
    """Two workers by two parts of every leaf, whose types say so, against workers that hold leaves whole."""
    plain = OPTIMIZERS.get(name) or gr.exchange(COMPRESSORS[name], AXIS)
    tx = optax.GradientTransformation(plain.init, lambda g, state: plain.update(g, state, jax.tree.map(jnp.sin, g)))
    grads = jax.tree.map(lambda x: x[:, :2], {"kernel": gradients()["kernel"], "bias": gradients()["kernel"][..., 0]})
    want, _ = run(tx, grads)
    mesh = jax.make_mesh((2, 2), (AXIS, "model"), axis_types=(AxisType.Explicit,) * 2)
    spread = PartitionSpec(None, AXIS)

    def steps(grads):
        first = jax.tree.map(lambda x: x[0, 0], grads)
        assert "model" in jax.typeof(first["kernel"]).sharding.spec

        def step(state, g):
            updates, state = tx.update(g, state)
            return state, updates

        updates = jax.lax.scan(step, tx.init(first), jax.tree.map(lambda x: x[:, 0], grads))[1]
        assert jax.typeof(updates["kernel"]).sharding.spec == PartitionSpec(None, "model", None)
        return jax.tree.map(lambda x: x[:, None], updates)

    with jax.set_mesh(mesh):
        split = NamedSharding(mesh, PartitionSpec(None, AXIS, "model"))
        given = jax.device_put(grads, split)
        mapped = jax.shard_map(steps, in_specs=spread, out_specs=spread, axis_names={AXIS}, check_vma=False)
        got = jax.jit(mapped)(given)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, want)


def test_pmap_and_an_explicit_axis_of_workers_train_alike():
    """Ten steps of least squares, whose gradients travel by one bit an entry."""
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((WORKERS, 8, 6), (6, 5)))
    tx = optax.chain(gr.exchange(gr.scaled_sign(), AXIS), optax.adam(0.1))

    def train(x, y):
        loss = lambda params: jnp.mean((x @ params["kernel"] + params["bias"] - y) ** 2)  # noqa: E731

        def step(carry, _):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), jax.lax.pmean(loss(params), AXIS)

        params = {"kernel": jnp.zeros((6, 5)), "bias": jnp.zeros((1, 5))}
        (params, _), losses = jax.lax.scan(step, (params, tx.init(params)), length=10)
        return params, losses

    mesh = jax.make_mesh((WORKERS,), (AXIS,), axis_types=(AxisType.Explicit,))
    spread, whole = PartitionSpec(AXIS), PartitionSpec()
    want = jax.pmap(train, AXIS, out_axes=None)(x, x @ kernel)
    with jax.set_mesh(mesh):
        own = lambda x, y: train(x[0], y[0])  # noqa: E731
        mapped = jax.shard_map(own, in_specs=spread, out_specs=whole, check_vma=False)
        got = jax.jit(mapped)(*jax.device_put((x, x @ kernel), NamedSharding(mesh, spread)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=4e-7), got, want)
    assert got[1][-1] < 0.8 * got[1][0]


@pytest.mark.thorough
def test_equal_workers_equal_one():
    grads = jax.tree.map(lambda x: np.broadcast_to(x[:, :1], x.shape), gradients())
    four, _ = run(Together({name: gr.exchange(COMPRESSORS[name], AXIS) for name in EQUAL}), grads)
    one, _ = run(Together({name: gr.exchange(COMPRESSORS[name]) for name in EQUAL}), grads)
    for name in EQUAL:
        np.testing.assert_allclose(four[name]["kernel"], one[name]["kernel"], atol=2e-5, err_msg=name)


@pytest.mark.turns(4)
@pytest.mark.parametrize("name", BYTES)
def test_bytes_of_the_compiled_program_are_those_of_the_formula(name):
    tx = gr.exchange(COMPRESSORS[name], AXIS)
    params = {"kernel": jax.ShapeDtypeStruct((6, 5), jnp.float32)}
    mesh = jax.make_mesh((WORKERS,), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    state = jax.eval_shape(tx.init, params)
    spec, whole = gr.specs(state, AXIS), PartitionSpec()
    spread = jax.eval_shape(jax.shard_map(tx.init, mesh=mesh, in_specs=whole, out_specs=spec, check_vma=False), params)
    step = jax.shard_map(tx.update, mesh=mesh, in_specs=(whole, spec), out_specs=(whole, spec), check_vma=False)
    assert measure.collective_bytes(jax.jit(step).lower(params, spread).compile()) == BYTES[name]
