"""Gradients that devices exchange in few bytes: what goes over the wire, and what it costs in error."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from compressjax import gradients, measure
from experiments import app, limits, models
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import check, data_of, test_error
from experiments.reproduce.table import Claim, asked

AXIS = "data"


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every method."""
    return ["dense", *(name for name, _ in config["methods"])]


class Shared(NamedTuple):
    """Data and network, and the bytes of every setting, whose programs are compiled once."""

    problem: Problem
    sent: Mapping[str, Mapping[str, float]]


def prepare(launch: app.Launch) -> Shared:
    """Data, network and bytes; refuses one device, and batches that devices do not share alike."""
    config, devices = launch.config, launch.mesh.size
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    check(config, len(problem.data.train_labels))
    limits.check(config, {"learning_rate": limits.POSITIVE}, "--config.")
    if devices < 2:
        raise ValueError("there is 1 device, and nothing to exchange; on a CPU set "
                         "XLA_FLAGS=--xla_force_host_platform_device_count=4")  # fmt: skip
    if config["batch"] % devices:
        raise ValueError(f"--config.batch={config['batch']} must be a multiple of the {devices} devices")
    return Shared(problem, sent(config, launch.mesh))


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one network with as many workers as devices; the figures are its error and the measured networks' bytes.

    The workers are a mapped axis of one program, which gives what devices give without their waiting for each other.
    """
    problem = shared.problem._replace(seed=seed)
    data, params, workers = data_of(problem), problem.initial_params(), problem.mesh.size
    one = problem.mesh.devices.flat[0]  # others would do the same work again
    data, params = jax.device_put((data, params), one)
    init, step = _together(cross_entropy(problem.apply), _exchange(config, name), optimizer(config), workers)
    state = init(params)
    wrong = jax.jit(lambda params, held: test_error(problem.apply, params, held))
    errors = []
    for first in range(0, config["steps"], config["chunk"]):
        rows = batch_indices(seed, "train", first, config["chunk"], config["batch"], len(data.train_labels))
        for row in rows:
            params, state = step(params, state, (data.train[row], data.train_labels[row]))
        errors.append(float(wrong(params, data)))
    if not np.isfinite(jax.tree.leaves(params)[0]).all():
        raise ValueError(f"the weights are no numbers after {config['steps']} steps; lower --config.learning_rate")
    return {"error": errors[-1], **shared.sent[name]}


def optimizer(config: Mapping[str, Any]) -> optax.GradientTransformation:
    """SGD with momentum, whose rate falls as a cosine."""
    rate = optax.cosine_decay_schedule(config["learning_rate"], config["steps"])
    return optax.sgd(rate, config["momentum"])


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The config's targets for the settings of the grid."""
    return asked(config, settings(config))


def sent(config: Mapping[str, Any], mesh: jax.sharding.Mesh) -> dict[str, dict[str, float]]:
    """For every setting, bytes that one device sends a step in every measured network, and percent of the dense."""
    found: dict[str, dict[str, float]] = {name: {} for name in settings(config)}
    for label, kind, chosen, shape in config["measured"]:
        model = models.create(kind, chosen)
        params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))["params"]
        each = {name: _wire_bytes(_exchange(config, name), params, mesh) for name in found}
        for name, number in each.items():
            found[name] |= {f"{label} kB": number / 1000, f"{label} %": 100 * number / each["dense"]}
    return found


def _exchange(config: Mapping[str, Any], name: str) -> optax.GradientTransformation:
    if name == "dense":
        return optax.stateless(lambda grads, _: jax.lax.pmean(grads, AXIS))
    kind, chosen, feedback = dict(config["methods"])[name]
    if not hasattr(gradients, kind):
        raise ValueError(f"--config.methods: {name} names {kind!r}, which is no compressor of compressjax.gradients")
    return gradients.exchange(getattr(gradients, kind)(**chosen), AXIS, feedback=feedback)


def _together(
    loss: Any, exchange: optax.GradientTransformation, own: optax.GradientTransformation, workers: int
) -> tuple[Any, Any]:
    """The functions `params -> state` and `(params, state, batch) -> (params, state)` of workers on one device."""

    @jax.jit
    def init(params: Any) -> Any:
        one = jax.vmap(lambda _: exchange.init(params), axis_name=AXIS)(jnp.arange(workers))
        return one, own.init(params)

    @jax.jit
    def step(params: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        # One by one, outside of a loop, in which XLA's convolutions are slow on a CPU.
        parts = zip(*(jnp.split(x, workers) for x in batch), strict=True)
        grads = jax.tree.map(lambda *g: jnp.stack(g), *(jax.grad(loss)(params, part) for part in parts))
        means, exchanged = jax.vmap(lambda g, s: exchange.update(g, s, params), axis_name=AXIS)(grads, state[0])
        updates, moved = own.update(jax.tree.map(lambda x: x[0], means), state[1], params)
        return optax.apply_updates(params, updates), (exchanged, moved)

    return init, step


def _wire_bytes(tx: Any, params: Any, mesh: jax.sharding.Mesh) -> int:
    """Bytes that one device sends in one exchange, from its compiled program."""
    spec, whole = gradients.specs(jax.eval_shape(tx.init, params), AXIS), PartitionSpec()
    shared = {"mesh": mesh, "check_vma": False}
    state = jax.eval_shape(jax.shard_map(tx.init, in_specs=whole, out_specs=spec, **shared), params)
    update = jax.shard_map(tx.update, in_specs=(whole, spec), out_specs=(whole, spec), **shared)
    return measure.wire_bytes(jax.jit(update).lower(params, state).compile())
