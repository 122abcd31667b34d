"""A training stage: chunks of steps under a compression, each in one compiled scan where that is fast."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, distill, recipe
from compressjax.core._node import has_nodes
from compressjax.interpret import lift
from compressjax.recipe import Previous, Stage, Stored
from experiments import limits
from experiments.datasets import batch_indices
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree, observed, problem_at, traced
from experiments.stages.generating import generated_before

# Settings of a training run with their defaults.
DEFAULTS: dict[str, Any] = {
    "epochs": 10.0,  # rounded up to whole chunks
    "batch": 128,
    "learning_rate": 1e-3,  # with cosine decay
    "end_rate": 0.0,  # fraction of the rate at the end
    "weight_decay": 0.0,  # decoupled, of Adam
    "optimizer": None,  # another optimizer: ("optax:sgd", {"momentum": 0.9}); None is Adam
    "chunk": 234,  # steps per compiled call
    "save_every": 2340,  # steps between checkpoints inside the stage
    "scan": True,  # False for networks with convolutions on a CPU
    "temperature": 4.0,  # of soft targets, the distillation loss without another one
    "distillation": None,  # another loss on logits: ("distill.dkd_loss", {"beta": 4.0})
    "mixup": 0.0,  # largest weight of another image blended into each; 0 for none
    "soft": 0.0,  # weight of the teacher's loss; 0 trains on labels only
}


LIMITS: dict[str, limits.Limit] = {
    "epochs": limits.POSITIVE,
    "learning_rate": limits.POSITIVE,
    "end_rate": limits.NOT_NEGATIVE,
    "weight_decay": limits.NOT_NEGATIVE,
    "chunk": limits.COUNT,
    "save_every": limits.COUNT,
    "temperature": limits.POSITIVE,
    "mixup": limits.FRACTION,
    "soft": limits.FRACTION,
}
# Where an optimizer of another package has arguments of these names.
OPTIMIZER_LIMITS = {
    "learning_rate": limits.POSITIVE,
    "momentum": limits.FRACTION,
    "weight_decay": limits.NOT_NEGATIVE,
}


class Frozen(NamedTuple):
    """Arrays that a training run reads but never changes.

    Attributes:
        tree: The tree of the trained values; nodes keep their masks and codes here.
        teacher: Parameters of the first stage; None without distillation.
        stats: Statistics for methods that read them, or None.
        generated: Images without labels, of a stage `generate`; None unless the stage is `distill`.
    """

    tree: Any
    teacher: Any
    stats: Any
    generated: Any = None


class Context(NamedTuple):
    """A training run: the stage on its tree, the frozen arrays, and the compiled chunk of steps."""

    problem: Problem
    work: recipe.Work
    frozen: Frozen
    run: Callable[..., tuple["State", dict[str, jax.Array]]]


class State(NamedTuple):
    """Everything that a training run changes.

    Attributes:
        params: The tree if it is dense, `{value path: array}` if it has nodes.
        optimizer: State of `core.as_optax`, which holds the compression's state.
    """

    params: Any
    optimizer: core.CompressedState


def fit(problem: Problem, stage: recipe.Planned) -> Stage:
    """Builds a stage that trains.

    Args:
        problem: network and data.
        stage: from `recipe.plan`, with the settings of `DEFAULTS`.

    Returns:
        The stage.
    """
    name, settings = stage.label, stage.train or {}
    count = count_steps(settings, len(problem.data.train_labels))
    make_optimizer(settings, count)  # refuses bad settings before training
    _check_distillation(settings, problem.data.classes)

    def start(previous: Previous) -> tuple[Context, State]:
        now = problem_at(problem, previous)
        tree = last_tree(previous) if previous else now.initial_params()
        tree = jax.tree.map(jnp.asarray, tree)
        work = stage.start(tree, traced(now, tree) if stage.parts else None)
        teacher = next(iter(previous.values())).tree["params"] if previous and settings["soft"] else None
        optimizer = core.as_optax(work.compression, make_optimizer(settings, count))
        images, share = (generated_before(previous) if stage.name == "distill" else None) or (None, 0.0)
        extra = round(share * settings["batch"])
        learn = functools.partial(
            _step, problem, now, work._replace(tree=None), settings, optimizer, problem.key(name), extra
        )
        run = jax.jit(functools.partial(_scan, learn), donate_argnums=1)
        everywhere = jax.sharding.NamedSharding(problem.mesh, jax.sharding.PartitionSpec())
        frozen = Frozen(work.tree, teacher, observed(now, stage.stats, tree), images if extra else None)
        # Copies: a chunk donates its state's memory, but the tree is read at every step.
        params = jax.tree.map(jnp.copy, work.params)
        frozen, state = jax.device_put((frozen, State(params, optimizer.init(params))), everywhere)
        return Context(now, work, frozen, run), state

    def advance(context: Context, state: State, first: int, count: int) -> tuple[State, dict[str, float]]:
        rows = batch_indices(problem.seed, name, first, count, settings["batch"], len(problem.data.train_labels))
        # On a CPU, XLA runs convolutions inside loops ten times slower than outside, so run such networks per step.
        steps = np.arange(first, first + count, dtype=np.int32)
        parts = [slice(None)] if settings["scan"] else [slice(i, i + 1) for i in range(count)]
        history = []
        for part in parts:
            batches = (steps[part], rows[part])
            state, metrics = context.run(context.frozen, state, batches, problem.images, problem.labels)
            history.append(metrics)
        means = {key: float(np.mean([np.mean(metrics[key]) for metrics in history])) for key in history[0]}
        if not math.isfinite(means["loss"]):
            raise ValueError(
                f"stage {name}: the loss became {means['loss']} between steps {first} and {first + count}; "
                f"lower its learning_rate={settings['learning_rate']} and choose another --workdir"
            )
        return state, means

    def finish(context: Context, state: State) -> Stored:
        tree = context.work.encode(state.params, state.optimizer.compression)
        return conclude(context.problem, tree, notes=list(context.work.notes))

    return Stage(name, {}, start, finish, advance, count, settings["chunk"], settings["save_every"])


def count_steps(settings: Mapping[str, Any], examples: int) -> int:
    """Steps of a stage: its epochs, rounded up to whole chunks, so that one compiled program runs all of them.

    Args:
        settings: `epochs`, `batch` and `chunk`.
        examples: Size of the training set.

    Returns:
        Number of steps, at least 1.

    Raises:
        ValueError: If a setting is out of its range, or the settings give no step at all.

    Example:
        >>> count_steps({"epochs": 1, "batch": 10, "chunk": 8}, 100)
        16
    """
    limits.check(settings, {**LIMITS, "batch": limits.Limit(1, examples, whole=True)}, "")
    chunk, batches = settings["chunk"], examples // settings["batch"]
    steps = -(-round(settings["epochs"] * batches) // chunk) * chunk
    if steps < 1:
        raise ValueError(f"epochs={settings['epochs']} of {batches} batches are not one step; raise it")
    return steps


def make_optimizer(settings: Mapping[str, Any], steps: int) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, or another optimizer, with a cosine schedule over `steps`."""
    schedule = optax.cosine_decay_schedule(settings["learning_rate"], steps, settings["end_rate"])
    if settings["optimizer"]:
        made = recipe.make(settings["optimizer"], given={"learning_rate": lambda: schedule}, where="optimizer")
        own = {} if isinstance(settings["optimizer"], str) else settings["optimizer"][1]
        limits.check({k: v for k, v in own.items() if isinstance(v, (int, float))}, OPTIMIZER_LIMITS, "optimizer.")
        return made
    return optax.adamw(schedule, weight_decay=settings["weight_decay"])


def _scan(
    step: Callable[..., tuple[State, dict[str, jax.Array]]],
    frozen: Frozen,
    state: State,
    batches: tuple[jax.Array, jax.Array],
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    def body(state: State, batch: tuple[jax.Array, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        return step(frozen, state, *batch, images, labels)

    if len(batches[0]) == 1:
        return body(state, jax.tree.map(lambda x: x[0], batches))
    return jax.lax.scan(body, state, batches)


def _step(
    problem: Problem,
    now: Problem,
    work: recipe.Work,
    settings: Mapping[str, Any],
    optimizer: optax.GradientTransformationExtraArgs,
    key: jax.Array,
    extra: int,
    frozen: Frozen,
    state: State,
    number: jax.Array,
    rows: jax.Array,
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    split = jax.sharding.NamedSharding(problem.mesh, jax.sharding.PartitionSpec("data"))
    rows = jax.lax.with_sharding_constraint(rows, split)
    rows = rows[: len(rows) - extra]
    x, y = images[rows], labels[rows]
    if settings["mixup"] and len(rows):
        x, y = mix(jax.random.fold_in(key, number), x, jax.nn.one_hot(y, problem.data.classes), settings["mixup"])
    if extra:
        own_key = jax.random.fold_in(jax.random.fold_in(key, number), 1)  # the first one mixes
        chosen = jax.random.randint(own_key, (extra,), 0, len(frozen.generated))
        x = jnp.concatenate([x, frozen.generated[chosen].astype(x.dtype)])
    target = None if frozen.teacher is None else problem.apply(frozen.teacher, x)
    work = work._replace(tree=frozen.tree)

    apply = lift(now.train_apply, on_fallback="ignore")

    def loss(params: Any, own: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        logits, moved = apply(work.view(params, own), x)
        return joint_objective(logits, y, target, settings), (logits, moved)

    own = state.optimizer.compression
    # Nodes in a view round activations, in ranges that may learn from the gradients of the state.
    ranges = has_nodes(jax.eval_shape(work.view, state.params, own))
    found = jax.value_and_grad(loss, (0, 1) if ranges else (0,), has_aux=True, allow_int=ranges)(state.params, own)
    (value, (logits, moved)), (grads, *slopes) = found
    slopes = slopes[0] if slopes else None
    updates, new = optimizer.update(grads, state.optimizer, state.params, stats=frozen.stats, slopes=slopes)
    params = core.with_values(optax.apply_updates(state.params, updates), core.values(moved))
    known = y if len(rows) or target is None else target  # without labels, what the teacher says
    right = logits[: len(known)].argmax(-1) == (known.argmax(-1) if known.ndim == 2 else known)
    return State(params, new), {"loss": value, "accuracy": right.mean()}


def mix(key: jax.Array, images: jax.Array, labels: jax.Array, limit: float) -> tuple[jax.Array, jax.Array]:
    """Blends each example with its neighbor in the batch, so that distillation also covers inputs between the data.

    .. math:: x = (1 - \\lambda) x_i + \\lambda x_{i+1}, \\quad \\lambda \\sim U(0, limit)

    Args:
        key: PRNG key.
        images: `[batch, height, width, channels]`.
        labels: `[batch, classes]`, probabilities.
        limit: Largest weight of the neighbor, in (0, 1].

    Returns:
        Blended images, float32, and labels.

    Example:
        >>> x, y = mix(jax.random.key(0), jnp.ones((2, 1, 1, 1)), jnp.eye(2), 0.5)
        >>> x.ravel().tolist(), bool((y.sum(-1) == 1).all())
        ([1.0, 1.0], True)

    Source: mixup, Zhang et al., arXiv:1710.09412; with a teacher, Beyer et al., arXiv:2106.05237.
    """
    weight = jax.random.uniform(key, (len(images), 1, 1, 1), maxval=limit)
    blended = (1 - weight) * images.astype(jnp.float32) + weight * jnp.roll(images, 1, axis=0).astype(jnp.float32)
    flat = weight.reshape(-1, 1)
    return blended, (1 - flat) * labels + flat * jnp.roll(labels, 1, axis=0)


def objective(logits: jax.Array, labels: jax.Array, target: jax.Array | None, settings: Mapping[str, Any]) -> jax.Array:
    """Cross-entropy, mixed with a distillation loss if there is a teacher.

    Args:
        logits: `[batch, classes]`.
        labels: `[batch]`, or probabilities `[batch, classes]`.
        target: Logits of the teacher, or `None`.
        settings: `soft` (weight of the distillation loss), `distillation` (`None` for soft targets) and `temperature`.

    Returns:
        The mean loss.
    """
    soft = settings["soft"]
    if target is not None and soft and settings["distillation"] is None:
        return distill.soft_target_loss(logits, target, labels, temperature=settings["temperature"], alpha=soft)
    entropy = optax.softmax_cross_entropy if labels.ndim == 2 else optax.softmax_cross_entropy_with_integer_labels
    hard = entropy(logits, labels).mean()
    if target is None or not soft:
        return hard
    given = {"student_logits": lambda: logits, "teacher_logits": lambda: target, "labels": lambda: labels}
    return soft * recipe.make(settings["distillation"], given=given, where="distillation") + (1 - soft) * hard


def joint_objective(
    logits: jax.Array, labels: jax.Array, target: jax.Array | None, settings: Mapping[str, Any]
) -> jax.Array:
    """The objective of examples with labels and, after them, of generated ones, which only the teacher knows.

    .. math:: L = \\frac{1}{n + m} \\Big(\\sum_{i \\le n} L_i + \\alpha \\sum_{i > n} D_i\\Big)

    Args:
        logits: `[n + m, classes]`.
        labels: `[n]`, or probabilities `[n, classes]`.
        target: Logits of the teacher `[n + m, classes]`; None if `m` is 0 and there is no teacher.
        settings: As for `objective`; `alpha` is `soft`.

    Returns:
        The mean loss.
    """
    n, m = len(labels), len(logits) - len(labels)
    if target is None or not m:
        return objective(logits, labels, target, settings)
    guessed = target[n:].argmax(-1)  # for losses that read a label
    made = settings["soft"] * objective(logits[n:], guessed, target[n:], {**settings, "soft": 1.0})
    return (n * objective(logits[:n], labels, target[:n], settings) + m * made) / (n + m) if n else made


def _check_distillation(settings: Mapping[str, Any], classes: int) -> None:
    """Refuses a loss that does not exist, or its settings, before training."""
    logits = jnp.zeros((2, classes))
    labels = logits if settings["mixup"] else jnp.zeros(2, jnp.int32)
    jax.eval_shape(lambda x: objective(x, labels, x, settings), logits)
