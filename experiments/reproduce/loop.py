"""A plain training loop on data on the device: Adam or SGD under a compression."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core
from compressjax.core._node import has_nodes
from compressjax.interpret import lift
from experiments import limits
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy, mean_entropy

LIMITS = {
    "steps": limits.COUNT,
    "chunk": limits.COUNT,
    "learning_rate": limits.POSITIVE,
    "momentum": limits.FRACTION,
    "weight_decay": limits.NOT_NEGATIVE,
    "restart": limits.FRACTION,
}
Apply = Callable[[Any, jax.Array], jax.Array]
View = Callable[[jax.Array, jax.Array], Any]


class Data(NamedTuple):
    """Inputs `[n, ...]` and labels `[n]` of the training and the test set."""

    train: jax.Array
    train_labels: jax.Array
    test: jax.Array
    test_labels: jax.Array


class Trained(NamedTuple):
    """Result of a training run.

    Attributes:
        params: Dense parameters; the network computes with their view.
        state: State of the compression.
        errors: Test errors in percent, one per evaluation; the last belongs to `params`.
        encoded: The tree with nodes.
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
    """Percent of the test set that a network misclassifies."""
    return 100 * jnp.mean(jnp.argmax(apply(params, data.test), -1) != data.test_labels)


def train(
    apply: Apply,
    params: Any,
    data: Data,
    settings: Mapping[str, Any],
    *,
    seed: int,
    compression: core.Compression | None = None,
    loss: Callable[[Any, Any, jax.Array], jax.Array] | None = None,
    stats: Any = None,
    view: View | None = None,
) -> Trained:
    """Trains for a number of steps and measures the test error after each chunk.

    Args:
        apply: `(params, inputs) -> logits`.
        params: Initial parameters.
        data: Data on the device.
        settings: `steps`, `batch`, `learning_rate`, `cosine` (whether the rate decays), `restart` (fraction of the
            training run after which the decay restarts; 0 or absent for never), `momentum` (of SGD; Adam if 0 or
            absent), `weight_decay` (of SGD, added to the gradient), `chunk` (steps between evaluations), `scan`
            (whether a chunk is one compiled loop, in which XLA's CPU convolutions are slow).
        seed: Seed of the order of the data.
        compression: Compression in the training run; None for plain training.
        loss: `(params, inputs, labels) -> loss`; the cross-entropy if None.
        stats: Statistics of `observe` that the compression starts from.
        view: `(step, inputs) -> what the loss takes as inputs`, such as an augmentation; None changes nothing.

    Returns:
        The result.

    Raises:
        ValueError: If a setting is out of its range, or `steps` is not a multiple of `chunk`.
    """
    check(settings, len(data.train_labels))
    steps, chunk = settings["steps"], settings["chunk"]
    compression = compression or core.identity()
    rate = settings["learning_rate"]
    schedule = _falling(rate, steps, round(settings.get("restart", 0) * steps)) if settings["cosine"] else rate
    optimizer = optax.adam(schedule)
    if settings.get("momentum"):
        decay = optax.add_decayed_weights(settings["weight_decay"])
        optimizer = optax.chain(decay, optax.sgd(schedule, settings["momentum"]))
    tx = core.as_optax(compression, optimizer)
    state = jax.jit(tx.init)(params)
    if stats is not None:
        state = state._replace(compression=compression.after_step(params, state.compression, stats)[1])
    apply = lift(apply, on_fallback="ignore")
    entropy = cross_entropy(apply)
    loss = loss or (lambda params, x, y: entropy(params, (x, y)))
    looped = settings.get("scan", True)
    run = jax.jit(functools.partial(_chunk if looped else _step, loss, compression, tx, view), donate_argnums=(0, 1))
    params = jax.tree.map(jnp.copy, params)
    wrong = jax.jit(lambda p, s, held: test_error(apply, compression.view(p, s), held))
    errors = []
    for first in range(0, steps, chunk):
        rows = batch_indices(seed, "train", first, chunk, settings["batch"], len(data.train_labels))
        numbers = np.arange(first, first + chunk, dtype=np.int32)
        for part in [(numbers, rows)] if looped else zip(numbers, rows, strict=True):
            params, state = run(params, state, data.train, data.train_labels, part)
        errors.append(float(wrong(params, state.compression, data)))
        if not np.isfinite(jax.tree.leaves(params)[0]).all():
            raise ValueError(f"the weights are no numbers after {first + chunk} steps; lower --config.learning_rate")
    return Trained(params, state.compression, errors, compression.encode(params, state.compression))


def train_statistics(
    problem: Problem,
    settings: Mapping[str, Any],
    loss: Callable[[jax.Array, jax.Array], jax.Array] = mean_entropy,
    targets: Any = None,
) -> Any:
    """Trains a network with BatchNorm, whose statistics move, on the data and the seed of a problem.

    Args:
        problem: Network and data.
        settings: `steps`, `batch`, `learning_rate` (of Adam; it falls as a cosine).
        loss: `(logits, targets of the batch) -> loss`.
        targets: `[n, ...]`, one a training image; the labels if None.

    Returns:
        All variables.
    """
    variables, targets = problem.initial_params(), problem.labels if targets is None else jnp.asarray(targets)
    optimizer = optax.adam(optax.cosine_decay_schedule(settings["learning_rate"], settings["steps"]))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(variables: Any, state: Any, rows: jax.Array) -> tuple[Any, Any]:
        def value(params: Any) -> tuple[jax.Array, Any]:
            logits, moved = problem.train_apply({**variables, "params": params}, problem.images[rows])
            return loss(logits, targets[rows]), moved

        grads, moved = jax.grad(value, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        return {**moved, "params": optax.apply_updates(variables["params"], updates)}, state

    state, size = optimizer.init(variables["params"]), len(problem.data.train_labels)
    for rows in batch_indices(problem.seed, "train", 0, settings["steps"], settings["batch"], size):
        variables, state = step(variables, state, rows)
    return variables


def frozen(apply: Apply) -> Apply:
    """The function with statistics of BatchNorm that no gradient reaches, so that an optimizer leaves them alone."""

    def run(params: Any, x: jax.Array) -> jax.Array:
        if "batch_stats" in params:
            params = {**params, "batch_stats": jax.lax.stop_gradient(params["batch_stats"])}
        return apply(params, x)

    return run


def check(settings: Mapping[str, Any], examples: int, where: str = "--config.") -> None:
    """Refuses settings of a training run that are out of their ranges, before any cell trains.

    Args:
        settings: As for `train`.
        examples: Size of the training set.
        where: Prefix of names in messages.

    Raises:
        ValueError: Names the setting, its value and its range.
    """
    limits.check(settings, {**LIMITS, "batch": limits.Limit(1, examples, whole=True)}, where)
    if settings["steps"] % settings["chunk"]:
        raise ValueError(f"{where}steps={settings['steps']} must be a multiple of {where}chunk={settings['chunk']}")


def _falling(rate: float, steps: int, restart: int) -> optax.Schedule:
    parts = [optax.cosine_decay_schedule(rate, length) for length in (restart, steps - restart) if length]
    return optax.join_schedules(parts, [restart] * (len(parts) - 1))


def _chunk(
    loss: Callable, compression: core.Compression, tx: Any, view: View | None, params: Any, state: Any, x: Any, y: Any,
    parts: Any,
) -> tuple[Any, Any]:  # fmt: skip
    def step(carry: tuple[Any, Any], part: tuple[jax.Array, jax.Array]) -> tuple[tuple[Any, Any], None]:
        return _step(loss, compression, tx, view, *carry, x, y, part), None

    return jax.lax.scan(step, (params, state), parts)[0]


def _step(
    loss: Callable, compression: core.Compression, tx: Any, view: View | None, params: Any, state: Any, x: Any, y: Any,
    part: Any,
) -> tuple[Any, Any]:  # fmt: skip
    number, row = part
    inputs = x[row] if view is None else view(number, x[row])

    def viewed_loss(params: Any, own: Any) -> jax.Array:
        return loss(compression.view(params, own), inputs, y[row])

    slopes = None
    if has_nodes(jax.eval_shape(compression.view, params, state.compression)):  # ranges of activations, which learn
        grads, slopes = jax.grad(viewed_loss, (0, 1), allow_int=True)(params, state.compression)
    else:
        grads = jax.grad(viewed_loss)(params, state.compression)
    updates, state = tx.update(grads, state, params, slopes=slopes)
    return optax.apply_updates(params, updates), state
