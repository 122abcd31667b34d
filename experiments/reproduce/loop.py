"""A plain training loop on data that lies on the device: Adam or SGD, seen through a compression."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy

Apply = Callable[[Any, jax.Array], jax.Array]


class Data(NamedTuple):
    """Inputs and labels of both splits.

    Attributes:
        train: `[n, ...]`.
        train_labels: `[n]`.
        test: `[m, ...]`.
        test_labels: `[m]`.
    """

    train: jax.Array
    train_labels: jax.Array
    test: jax.Array
    test_labels: jax.Array


class Trained(NamedTuple):
    """Where a training ended.

    Attributes:
        params: dense parameters; what the network computes with is their view.
        state: of the compression.
        errors: test errors in percent, one an evaluation; the last belongs to `params`.
        encoded: the tree with nodes.
    """

    params: Any
    state: Any
    errors: list[float]
    encoded: Any


def data_of(problem: Problem) -> Data:
    """The arrays of a problem, the test set moved to the device."""
    test = jax.device_put((problem.data.test_images, problem.data.test_labels))
    return Data(problem.images, problem.labels, *test)


def test_error(apply: Apply, params: Any, data: Data) -> jax.Array:
    """Per cent of the test set that a network gets wrong.

    Args:
        apply: `(params, inputs) -> logits`.
        params: what the network computes with.
        data: on the device.

    Returns:
        A number from 0 to 100.
    """
    return 100 * jnp.mean(jnp.argmax(apply(params, data.test), -1) != data.test_labels)


def train(
    apply: Apply,
    params: Any,
    data: Data,
    settings: Mapping[str, Any],
    *,
    seed: int,
    compression: core.Compression | None = None,
    loss: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None,
) -> Trained:
    """Trains for a number of steps and measures the test error now and then.

    Args:
        apply: `(params, inputs) -> logits`.
        params: start.
        data: on the device.
        settings: `steps`, `batch`, `learning_rate`, `cosine` (whether the rate falls), `restart` (part
            of the training after which it falls anew; 0 or no field for never), `momentum` (SGD with that much
            of it; Adam when 0 or without the field), `weight_decay` (of SGD, added to the gradient), `chunk` (steps
            between two evaluations), `scan` (whether a chunk is one compiled loop, in which XLA's CPU convolutions are
            slow).
        seed: of the order of the data.
        compression: what acts in the training; none when None.
        loss: `(params, inputs, labels) -> loss`; the cross-entropy when None.

    Returns:
        The end.

    Raises:
        ValueError: when the number of steps is no multiple of the chunk.
    """
    steps, chunk = settings["steps"], settings["chunk"]
    if steps % chunk:
        raise ValueError(f"--config.steps={steps} must be a multiple of --config.chunk={chunk}")
    compression = compression or core.identity()
    rate = settings["learning_rate"]
    schedule = _falling(rate, steps, round(settings.get("restart", 0) * steps)) if settings["cosine"] else rate
    optimizer = optax.adam(schedule)
    if settings.get("momentum"):
        decay = optax.add_decayed_weights(settings["weight_decay"])
        optimizer = optax.chain(decay, optax.sgd(schedule, settings["momentum"]))
    tx = core.as_optax(compression, optimizer)
    state = jax.jit(tx.init)(params)
    entropy = cross_entropy(apply)
    loss = loss or (lambda params, x, y: entropy(params, (x, y)))
    looped = settings.get("scan", True)
    run = jax.jit(functools.partial(_chunk if looped else _step, loss, compression, tx), donate_argnums=(0, 1))
    params = jax.tree.map(jnp.copy, params)
    wrong = jax.jit(lambda p, s, held: test_error(apply, compression.view(p, s), held))
    errors = []
    for first in range(0, steps, chunk):
        rows = batch_indices(seed, "train", first, chunk, settings["batch"], len(data.train_labels))
        for part in [rows] if looped else rows:
            params, state = run(params, state, data.train, data.train_labels, part)
        errors.append(float(wrong(params, state.compression, data)))
        if not np.isfinite(jax.tree.leaves(params)[0]).all():
            raise ValueError(f"the weights are no numbers after {first + chunk} steps; lower --config.learning_rate")
    return Trained(params, state.compression, errors, compression.encode(params, state.compression))


def _falling(rate: float, steps: int, restart: int) -> optax.Schedule:
    parts = [optax.cosine_decay_schedule(rate, length) for length in (restart, steps - restart) if length]
    return optax.join_schedules(parts, [restart] * (len(parts) - 1))


def _chunk(
    loss: Callable, compression: core.Compression, tx: Any, params: Any, state: Any, x: Any, y: Any, rows: Any
) -> tuple[Any, Any]:
    def step(carry: tuple[Any, Any], row: jax.Array) -> tuple[tuple[Any, Any], None]:
        return _step(loss, compression, tx, *carry, x, y, row), None

    return jax.lax.scan(step, (params, state), rows)[0]


def _step(
    loss: Callable, compression: core.Compression, tx: Any, params: Any, state: Any, x: Any, y: Any, row: Any
) -> tuple[Any, Any]:
    def seen(params: Any) -> jax.Array:
        return loss(compression.view(params, state.compression), x[row], y[row])

    updates, state = tx.update(jax.grad(seen)(params), state, params)
    return optax.apply_updates(params, updates), state
