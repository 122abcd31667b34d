"""A training stage: chunks of steps under a compression, each in one compiled scan where that is fast."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, distill, precision, recipe
from compressjax.core._node import has_nodes
from compressjax.interpret import lift
from compressjax.recipe import Previous, Stage, Stored
from experiments import limits
from experiments.datasets import batch_indices
from experiments.parallel import Way, local
from experiments.problem import Problem
from experiments.stages.diverging import fault, unfinished
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
    "precision": None,  # format of products: "bfloat16", "float16" (with dynamic loss scaling), "fp8"; None is float32
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


Seen = tuple[dict[str, jax.Array], jax.Array]  # metrics, and where numbers stop being finite


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
    """A training run: the stage on its tree, the frozen arrays, the compiled chunk of steps, and generated images."""

    problem: Problem
    work: recipe.Work
    frozen: Frozen
    run: Callable[..., tuple["State", "Seen"]]
    extra: int


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
    if settings["precision"]:
        precision.policy(settings["precision"])
    way = problem.way
    check_split(name, settings["batch"], way)

    def start(previous: Previous) -> tuple[Context, State]:
        now = problem_at(problem, previous)
        tree = last_tree(previous) if previous else now.initial_params()
        tree = jax.tree.map(jnp.asarray, tree)
        work = stage.start(tree, traced(now, tree) if stage.parts else None)
        teacher = next(iter(previous.values())).tree["params"] if previous and settings["soft"] else None
        inner = make_optimizer(settings, count)
        optimizer = core.as_optax(work.compression, precision.loss_scaled(inner) if scales(settings) else inner)
        images, share = (generated_before(previous) if stage.name == "distill" else None) or (None, 0.0)
        extra = round(share * settings["batch"])
        check_split(name, extra, way, "its generated share of ")
        learn = functools.partial(
            _step, problem, now, work._replace(tree=None), settings, optimizer, problem.key(name),
            extra // (way.parts if way.mapped else 1),
        )  # fmt: skip
        frozen = Frozen(work.tree, teacher, observed(now, stage.stats, tree), images if extra else None)
        # Copies: a chunk donates its state's memory, but the tree is read at every step.
        params = jax.tree.map(jnp.copy, work.params)
        frozen, state = way.place((frozen, State(params, optimizer.init(params))))
        run = way.compile(functools.partial(_scan, learn), state)
        return Context(now, work, frozen, run, extra), state

    def advance(context: Context, state: State, first: int, count: int) -> tuple[State, dict[str, float]]:
        rows = batch_indices(problem.seed, name, first, count, settings["batch"], len(problem.data.train_labels))
        rows = rows[:, : settings["batch"] - context.extra]
        # On a CPU, XLA runs convolutions inside loops ten times slower than outside, so run such networks per step.
        steps = np.arange(first, first + count, dtype=np.int32)
        parts = [slice(None)] if settings["scan"] else [slice(i, i + 1) for i in range(count)]
        data = () if way.shared else (problem.images, problem.labels)
        history, faults = [], []
        for part in parts:
            fed = way.feed(rows[part], problem.data.train_images, problem.data.train_labels)
            state, (metrics, found) = context.run(context.frozen, state, (steps[part], fed), *(data or (None, None)))
            history.append(metrics)
            faults.append(found)
        refuse = functools.partial(unfinished, name, first, settings["learning_rate"], state.params)
        refuse(history, faults)
        return state, {key: float(np.mean([np.mean(metrics[key]) for metrics in history])) for key in history[0]}

    def finish(context: Context, state: State) -> Stored:
        state = local(state)
        tree, notes = context.work.encode(state.params, state.optimizer.compression), list(context.work.notes)
        if scales(settings):
            skipped = int(precision.loss_scale_state(state.optimizer).skipped)
            notes.append(f"{skipped} of {count} steps overflowed in {settings['precision']} and were skipped")
        return conclude(context.problem, tree, notes=notes)

    return Stage(name, {}, start, finish, advance, count, settings["chunk"], settings["save_every"])


def check_split(name: str, batch: int, way: Way, what: str = "") -> None:
    """Raises `ValueError` if a batch does not divide over the devices."""
    if batch % way.parts:
        fitting = -(-batch // way.parts) * way.parts
        raise ValueError(
            f"stage {name}: {what}batch={batch} does not divide over the {way.parts} devices of the axis `data`; "
            f"train {fitting} at once, --set={name}.batch={fitting}, or choose another --mesh or --devices"
        )


def scales(settings: Mapping[str, Any]) -> bool:
    """Whether the loss of a training run is scaled: in float16 alone, whose small gradients would be zero."""
    return bool(settings["precision"]) and precision.policy(settings["precision"]).compute.name == "float16"


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
    step: Callable[..., tuple[State, Seen]],
    frozen: Frozen,
    state: State,
    batches: tuple[jax.Array, Any],
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, Seen]:
    def body(state: State, batch: tuple[jax.Array, Any]) -> tuple[State, Seen]:
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
    fed: Any,
    images: jax.Array,
    labels: jax.Array,
) -> tuple[State, Seen]:
    way = problem.way
    x, y = _examples(way, fed, images, labels)
    if settings["mixup"] and len(x):
        x, y = mix(jax.random.fold_in(key, number), x, jax.nn.one_hot(y, problem.data.classes), settings["mixup"], way)
    if extra:
        own_key = jax.random.fold_in(jax.random.fold_in(key, number), 1)  # the first one mixes
        chosen = way.own(jax.random.randint(own_key, (way.whole(extra),), 0, len(frozen.generated)))
        x = jnp.concatenate([x, frozen.generated[chosen].astype(x.dtype)])
    target = None if frozen.teacher is None else problem.apply(frozen.teacher, x)
    work = work._replace(tree=frozen.tree)

    apply = lift(way.synchronized(now.train_apply), on_fallback="ignore")
    if settings["precision"]:
        apply = precision.mixed(apply, settings["precision"])

    def loss(params: Any, own: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        logits, moved = apply(work.view(params, own), x)
        return joint_objective(logits, y, target, settings), (logits, moved)

    own = state.optimizer.compression
    # Nodes in a view round activations, in ranges that may learn from the gradients of the state.
    ranges = has_nodes(jax.eval_shape(work.view, state.params, own))
    places = (0, 1) if ranges else (0,)
    if scales(settings):
        gradient = precision.scaled_value_and_grad(loss, places, has_aux=True, allow_int=ranges)
        found = gradient(precision.scale_of(state.optimizer), state.params, own)
    else:
        found = jax.value_and_grad(loss, places, has_aux=True, allow_int=ranges)(state.params, own)
    (value, (logits, moved)), (grads, *slopes) = found
    value, grads, slopes = way.mean((value, grads, slopes[0] if slopes else None))
    updates, new = optimizer.update(grads, state.optimizer, state.params, stats=frozen.stats, slopes=slopes)
    params = core.with_values(optax.apply_updates(state.params, updates), core.values(moved))
    known = y if y.shape[0] or target is None else target  # without labels, what the teacher says
    right = logits[: len(known)].argmax(-1) == (known.argmax(-1) if known.ndim == 2 else known)
    return State(params, new), ({"loss": value, "accuracy": way.mean(right.mean())}, fault(value, state.params, grads))


def _examples(way: Way, fed: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The body's examples: those that the process was fed, or rows of the data on the device."""
    if isinstance(fed, tuple):
        return fed
    rows = fed if way.mapped else way.own(fed)
    return images[rows], labels[rows]


def mix(
    key: jax.Array, images: jax.Array, labels: jax.Array, limit: float, way: Way | None = None
) -> tuple[jax.Array, jax.Array]:
    """Blends each example with its neighbor in the batch, so that distillation also covers inputs between the data.

    .. math:: x = (1 - \\lambda) x_i + \\lambda x_{i+1}, \\quad \\lambda \\sim U(0, limit)

    Args:
        key: PRNG key.
        images: `[batch, height, width, channels]`.
        labels: `[batch, classes]`, probabilities.
        limit: Largest weight of the neighbor, in (0, 1].
        way: How a larger batch is split, of which these are a part; None if they are the batch.

    Returns:
        Blended images, float32, and labels.

    Example:
        >>> x, y = mix(jax.random.key(0), jnp.ones((2, 1, 1, 1)), jnp.eye(2), 0.5)
        >>> x.ravel().tolist(), bool((y.sum(-1) == 1).all())
        ([1.0, 1.0], True)

    Source: mixup, Zhang et al., arXiv:1710.09412; with a teacher, Beyer et al., arXiv:2106.05237.
    """
    count = len(images) if way is None else way.whole(len(images))
    weight = jax.random.uniform(key, (count, 1, 1, 1), maxval=limit)
    weight = way.own(weight) if way is not None and way.mapped else weight
    roll = functools.partial(jnp.roll, shift=1, axis=0) if way is None else way.roll
    blended = (1 - weight) * images.astype(jnp.float32) + weight * roll(images).astype(jnp.float32)
    flat = weight.reshape(-1, 1)
    return blended, (1 - flat) * labels + flat * roll(labels)


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
