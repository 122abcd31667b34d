"""Driver `generate`: trains a generator, and makes images without labels for later stages `distill`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import generate as quality
from compressjax import recipe
from compressjax.recipe import Previous, Stage, Stored
from experiments import limits
from experiments.datasets import batch_indices
from experiments.problem import Problem, predict
from experiments.reproduce.samplers import pixels, signed
from experiments.stages.facts import conclude, last_tree, problem_at
from experiments.stages.generators import KINDS, Generator

LIMITS = {
    "share": limits.Limit(0, 1, above=True), "examples": limits.COUNT, "steps": limits.COUNT,
    "learning_rate": limits.POSITIVE, "latent": limits.COUNT, "width": limits.COUNT,
}  # fmt: skip
BLOCK = 500  # images that are made at once
COMPARED = 2000  # images of every set that are searched for copies


class Context(NamedTuple):
    """A training run: the network so far, the dense network, the generator, and its compiled step."""

    problem: Problem
    tree: Any
    teacher: Any
    generator: Generator
    step: Callable[..., tuple[Any, dict[str, jax.Array]]]


def generate(
    problem: Problem,
    label: str,
    *,
    kind: str = "vae",
    share: float = 0.5,
    examples: int = 10_000,
    steps: int = 2000,
    batch: int = 128,
    learning_rate: float = 1e-3,
    latent: int = 32,
    width: int | None = None,
) -> Stage:
    """Builds a stage that trains a generator; the network stays as it is.

    Later stages `distill` take a share of every batch from its images: there the student learns from the soft targets
    of the dense network alone, because nobody knows labels.

    Args:
        problem: Network and data.
        label: Of the stage.
        kind: `"vae"` or `"gan"` on the training images, `"data-free"` against the dense network alone.
        share: Of the batches of `distill` that is generated, above 0; 1 leaves no training image.
        examples: Number of images.
        steps: Of the generator.
        batch: Images a step.
        learning_rate: Of Adam; the discriminator's is twice that.
        latent: Numbers of noise an image.
        width: Hidden units of the autoencoder (400), or channels of the others (32).

    Returns:
        The stage; its tree also holds `generated`, uint8.

    Raises:
        ValueError: If a setting is out of its range, or images do not fit the generator.
    """
    count, where = len(problem.data.train_labels), f"stage {label}: "
    if kind not in KINDS:
        raise ValueError(f"{where}kind={kind!r} is unknown; choose one of {', '.join(KINDS)}")
    given = {"share": share, "examples": examples, "steps": steps, "batch": batch, "learning_rate": learning_rate,
             "latent": latent, **({} if width is None else {"width": width})}  # fmt: skip
    limits.check(given, {**LIMITS, "batch": limits.Limit(2, count, whole=True)}, where)
    generator, key = KINDS[kind](problem, latent, width, learning_rate), problem.key(label)
    try:
        jax.eval_shape(generator.init, key, jax.eval_shape(lambda x: x.astype(jnp.float32), problem.images[:2]))
    except ValueError as error:
        raise ValueError(f"{where}{error}") from error

    def start(previous: Previous) -> tuple[Context, Any]:
        teacher = jax.tree.map(jnp.asarray, next(iter(previous.values())).tree["params"])
        now = problem_at(problem, previous)
        step = jax.jit(generator.step, donate_argnums=0)
        state = generator.init(key, signed(problem, problem.images[:batch]))
        return Context(now, last_tree(previous), teacher, generator, step), state

    def advance(context: Context, state: Any, first: int, count_: int) -> tuple[Any, dict[str, float]]:
        rows, history = batch_indices(problem.seed, label, first, count_, batch, count), []
        for number, chosen in enumerate(
            rows, first
        ):  # outside of a loop, in which XLA's convolutions are slow on a CPU
            images = signed(problem, problem.images[chosen])
            state, metrics = context.step(state, context.teacher, images, jax.random.fold_in(key, number))
            history.append(metrics)
        means = {name: float(np.mean([metrics[name] for metrics in history])) for name in history[0]}
        if not all(map(math.isfinite, means.values())):
            raise recipe.DivergedError(
                f"{where}the loss became {means['loss']} between steps {first} and {first + count_}; "
                f"lower its learning_rate={learning_rate} and choose another --workdir"
            )
        return state, means

    def finish(context: Context, state: Any) -> Stored:
        images = drawn(problem, context.generator, state, jax.random.fold_in(key, steps), examples)
        facts = described(problem, context.teacher, images)
        note = f"{examples} images by {kind}: {100 * facts['memorized']:.1f} % nearer to training images than new ones"
        done = conclude(context.problem, context.tree, generated={"share": share, **facts}, notes=[note])
        return Stored({**done.tree, "generated": images}, done.facts)

    return Stage(label, {}, start, finish, advance, steps)


def drawn(problem: Problem, generator: Generator, state: Any, key: jax.Array, count: int) -> np.ndarray:
    """Images of a generator as bytes, block by block."""
    size = min(BLOCK, count)
    make = jax.jit(lambda key: generator.draw(state, key, size))
    blocks = [pixels(problem, make(jax.random.fold_in(key, i))) for i in range(-(-count // size))]
    return np.concatenate(blocks)[:count]


def described(problem: Problem, teacher: Any, images: np.ndarray) -> dict[str, Any]:
    """How often the dense network sees each class, and the share of images that are nearly copies."""
    data = problem.data
    chosen = predict(problem.apply, teacher, images).argmax(-1)
    sets = (x[:COMPARED] for x in (images, data.train_images, data.test_images))
    return {
        "classes": np.bincount(chosen, minlength=data.classes).tolist(),
        "memorized": quality.memorized(*sets).share,
    }


def generated_before(previous: Previous) -> tuple[np.ndarray, float] | None:
    """Images of the latest stage `generate` before a stage, and their share of batches; None if there is none."""
    for stored in reversed(list(previous.values())):
        if "generated" in stored.tree:
            return stored.tree["generated"], float(stored.facts["generated"]["share"])
    return None
