"""A stage that trains: chunks of steps, in one compiled scan where that is fast, seen through a compression."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, distill
from compressjax.recipe import Previous, Stage, Stored
from experiments.datasets import batch_indices
from experiments.problem import Problem


class Context(NamedTuple):
    """What a training stage reads but never changes.

    Attributes:
        tree: where the trained values live; nodes keep their masks and codes here.
        teacher: dense parameters of the teacher, or `None`.
    """

    tree: Any
    teacher: Any


class State(NamedTuple):
    """What a training stage changes.

    Attributes:
        params: `{value path: array}`.
        optimizer: state of `core.as_optax`; the compression's state is inside.
    """

    params: dict[str, jax.Array]
    optimizer: core.CompressedState


Begin = Callable[[Previous], Context]
Conclude = Callable[[Context, Any], Stored]


def fit(
    problem: Problem,
    name: str,
    settings: Mapping[str, Any],
    *,
    begin: Begin,
    conclude: Conclude,
    compression: core.Compression | None = None,
) -> Stage:
    """Builds a training stage.

    Args:
        problem: network and data.
        name: of the stage.
        settings: `epochs`, `batch`, `learning_rate`, `end_rate` (fraction of the rate at the end), `weight_decay`,
            `chunk`, `save_every`, `scan`, `temperature`, `soft` (weight of the teacher's part of the loss) and `mixup`.
        begin: from earlier results to the context.
        conclude: from context and encoded tree to the stage's result.
        compression: what the forward pass sees the values through; identity when `None`.

    Returns:
        The stage.
    """
    compression = compression or core.identity()
    steps = count_steps(settings, len(problem.data.train_labels))
    optimizer = core.as_optax(compression, make_optimizer(settings, steps))
    step = functools.partial(_step, problem, settings, compression, optimizer, problem.key(name))
    run = jax.jit(functools.partial(_scan, step), donate_argnums=1)

    def start(previous: Previous) -> tuple[Context, State]:
        context = begin(previous)
        params = {path: jnp.asarray(x) for path, x in core.values(context.tree).items()}
        everywhere = jax.sharding.NamedSharding(problem.mesh, jax.sharding.PartitionSpec())
        return jax.device_put((context, State(params, optimizer.init(params))), everywhere)

    def advance(context: Context, state: State, first: int, count: int) -> tuple[State, dict[str, float]]:
        rows = batch_indices(problem.seed, name, first, count, settings["batch"], len(problem.data.train_labels))
        # XLA runs convolutions inside loops on a CPU ten times slower than outside: such networks go step by step.
        steps = np.arange(first, first + count, dtype=np.int32)
        parts = [slice(None)] if settings["scan"] else [slice(i, i + 1) for i in range(count)]
        seen = []
        for part in parts:
            state, metrics = run(context, state, (steps[part], rows[part]), problem.images, problem.labels)
            seen.append(metrics)
        means = {key: float(np.mean([np.mean(metrics[key]) for metrics in seen])) for key in seen[0]}
        if not math.isfinite(means["loss"]):
            raise ValueError(
                f"stage {name}: the loss became {means['loss']} between steps {first} and {first + count}; "
                f"lower --config.{name}.learning_rate={settings['learning_rate']} and choose another --workdir"
            )
        return state, means

    def finish(context: Context, state: State) -> Stored:
        encoded = compression.encode(state.params, state.optimizer.compression)
        return conclude(context, core.with_values(context.tree, encoded))

    return Stage(name, dict(settings), start, finish, advance, steps, settings["chunk"], settings["save_every"])


def with_run(stage: Stage, problem: Problem, config: Mapping[str, Any]) -> Stage:
    """A stage whose settings, and so its place in the cache, name what all stages of a run share.

    Args:
        stage: any stage.
        problem: network, data and devices.
        config: of the run, with `model` and `seed`.

    Returns:
        The stage.
    """
    shared = {"model": config["model"], "seed": config["seed"], "devices": problem.mesh.size}
    return stage._replace(settings={**shared, **stage.settings})


def count_steps(settings: Mapping[str, Any], examples: int) -> int:
    """Steps of a stage: its epochs, rounded up to whole chunks so that one program serves them all.

    Args:
        settings: with `epochs`, `batch` and `chunk`.
        examples: size of the training set.

    Returns:
        Number of steps.

    Example:
        >>> count_steps({"epochs": 1, "batch": 10, "chunk": 8}, 100)
        16
    """
    chunk = settings["chunk"]
    return -(-round(settings["epochs"] * (examples // settings["batch"])) // chunk) * chunk


def make_optimizer(settings: Mapping[str, Any], steps: int) -> optax.GradientTransformation:
    """Adam with decoupled weight decay under a cosine schedule.

    Args:
        settings: with `learning_rate`, `end_rate` and `weight_decay`.
        steps: length of the schedule.

    Returns:
        The transformation.
    """
    schedule = optax.cosine_decay_schedule(settings["learning_rate"], max(steps, 1), settings["end_rate"])
    return optax.adamw(schedule, weight_decay=settings["weight_decay"])


def _scan(
    step: Callable[..., tuple[State, dict[str, jax.Array]]],
    context: Context,
    state: State,
    batches: tuple[jax.Array, jax.Array],
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    def body(state: State, batch: tuple[jax.Array, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        return step(context, state, *batch, images, labels)

    if len(batches[0]) == 1:
        return body(state, jax.tree.map(lambda x: x[0], batches))
    return jax.lax.scan(body, state, batches)


def _step(
    problem: Problem,
    settings: Mapping[str, Any],
    compression: core.Compression,
    optimizer: optax.GradientTransformationExtraArgs,
    key: jax.Array,
    context: Context,
    state: State,
    number: jax.Array,
    rows: jax.Array,
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    split = jax.sharding.NamedSharding(problem.mesh, jax.sharding.PartitionSpec("data"))
    rows = jax.lax.with_sharding_constraint(rows, split)
    x, y = images[rows], labels[rows]
    if settings["mixup"]:
        x, y = mix(jax.random.fold_in(key, number), x, jax.nn.one_hot(y, problem.data.classes), settings["mixup"])
    target = None if context.teacher is None else problem.apply(context.teacher, x)

    def loss(params: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        seen = compression.view(params, state.optimizer.compression)
        logits = problem.apply(core.materialize(core.with_values(context.tree, seen)), x)
        return objective(logits, y, target, settings), logits

    (value, logits), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    updates, new = optimizer.update(grads, state.optimizer, state.params)
    metrics = {"loss": value, "accuracy": (logits.argmax(-1) == (y.argmax(-1) if y.ndim == 2 else y)).mean()}
    return State(optax.apply_updates(state.params, updates), new), metrics


def mix(key: jax.Array, images: jax.Array, labels: jax.Array, most: float) -> tuple[jax.Array, jax.Array]:
    """Blends each example with its neighbor in the batch, so that a student also meets its teacher between the data.

    .. math:: x = (1 - \\lambda) x_i + \\lambda x_{i+1}, \\quad \\lambda \\sim U(0, most)

    Args:
        key: PRNG key.
        images: `[batch, height, width, channels]`.
        labels: `[batch, classes]`, probabilities.
        most: largest weight of the neighbor, in (0, 1].

    Returns:
        Blended images, float32, and labels.

    Example:
        >>> x, y = mix(jax.random.key(0), jnp.ones((2, 1, 1, 1)), jnp.eye(2), 0.5)
        >>> x.ravel().tolist(), bool((y.sum(-1) == 1).all())
        ([1.0, 1.0], True)

    Source: mixup, Zhang et al., arXiv:1710.09412; with a teacher, Beyer et al., arXiv:2106.05237.
    """
    weight = jax.random.uniform(key, (len(images), 1, 1, 1), maxval=most)
    blended = (1 - weight) * images.astype(jnp.float32) + weight * jnp.roll(images, 1, axis=0).astype(jnp.float32)
    flat = weight.reshape(-1, 1)
    return blended, (1 - flat) * labels + flat * jnp.roll(labels, 1, axis=0)


def objective(logits: jax.Array, labels: jax.Array, target: jax.Array | None, settings: Mapping[str, Any]) -> jax.Array:
    """Cross-entropy, mixed with Hinton's distillation loss where there is a teacher.

    Args:
        logits: `[batch, classes]`.
        labels: `[batch]`, or probabilities `[batch, classes]`.
        target: the teacher's logits, or `None`.
        settings: with `temperature` and `soft`.

    Returns:
        The mean loss.
    """
    if target is None or not settings["soft"]:
        entropy = optax.softmax_cross_entropy if labels.ndim == 2 else optax.softmax_cross_entropy_with_integer_labels
        return entropy(logits, labels).mean()
    return distill.soft_target_loss(logits, target, labels, temperature=settings["temperature"], alpha=settings["soft"])
