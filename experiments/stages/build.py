"""From `config.stages` to stages of the engine, checked before anything trains."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import recipe
from compressjax.recipe import Previous, Stage, Stored
from experiments import limits, models
from experiments.datasets import batch_indices
from experiments.problem import Problem, as_variables, cross_entropy
from experiments.stages.factorize import factorize
from experiments.stages.facts import conclude, last_tree, observed, problem_at, traced
from experiments.stages.generating import generate
from experiments.stages.shrink import shrink
from experiments.stages.training import DEFAULTS, count_steps, fit

LIMITS: dict[str, dict[str, limits.Limit]] = {
    "factorize": {"tolerance": limits.NOT_NEGATIVE, "margin": limits.POSITIVE, "bits": limits.POSITIVE},
    "shrink": {"keep": limits.Limit(0, 1, above=True), "round_to": limits.COUNT},
}
DRIVERS: dict[str, Callable[..., tuple[Any, dict[str, Any]]]] = {"factorize": factorize, "shrink": shrink}
# Drivers with steps of their own.
ENGINES: dict[str, Callable[..., Stage]] = {"generate": generate}


def build(problem: Problem, config: Mapping[str, Any]) -> list[Stage]:
    """The stages of a config, in order.

    Args:
        problem: network and data.
        config: with `stages`, pairs of name and settings as `recipe.plan` takes them, `model` and `seed`; `skip` holds
            labels of stages to leave out.

    Returns:
        The stages. Their settings, and so their cache keys, include the model and the seed.

    Raises:
        ValueError: when a name, a setting, a selector or the order is wrong.
    """
    skipped = set(config.get("skip", ()))
    labels = [recipe.label_of(spec) for spec in config["stages"]]
    if not labels or config["stages"][0][0] != "train" or skipped - set(labels[1:]):
        raise ValueError(
            f"config.stages={labels} must begin with `train`, the dense network, and "
            f"--config.skip={sorted(skipped)} name stages after it"
        )
    examples = len(problem.data.train_labels)
    planned = recipe.plan(
        [spec for spec, label in zip(config["stages"], labels) if label not in skipped],
        jax.eval_shape(problem.initial_params),
        train=DEFAULTS,
        steps=lambda settings: count_steps(settings, examples),
        drivers={**DRIVERS, **ENGINES},
        given=makers(problem),
        seen=functools.partial(traced, problem),
    )
    # Not the devices: what they change is rounding, and a run may go on elsewhere.
    shared = {"model": config["model"], "seed": config["seed"]}
    made = []
    for place, stage in enumerate(planned):
        _check(stage, examples)
        if stage.name == "generate" and "distill" not in [later.name for later in planned[place:]]:
            raise ValueError(
                f"stage {stage.label}: no later stage `distill` learns from its images; add one, or remove it"
            )
        engine = _engine(problem, stage)
        made.append(engine._replace(settings={**shared, "name": stage.name, **stage.settings}))
    return made


def _engine(problem: Problem, stage: recipe.Planned) -> Stage:
    if stage.name in ENGINES:
        return ENGINES[stage.name](problem, stage.label, **stage.settings)
    return at_once(problem, stage) if stage.train is None else fit(problem, stage)


def makers(problem: Problem) -> dict[str, Callable[..., Any]]:
    """Makers of arguments that a config cannot hold, see `recipe.make`.

    Args:
        problem: network and data.

    Returns:
        Makers of `key` (by a word), `loss`, `batches`, `forward`, `inputs="ones"` and `examples`.
    """
    labels = problem.data.train_labels

    def batches(order: str = "batches", examples: int = 128, per_class: int = 0) -> list[tuple[jax.Array, jax.Array]]:
        """One batch of training examples in the order of that name; if given, `per_class` of every class."""
        count = len(labels) if per_class else examples
        rows = batch_indices(problem.seed, order, 0, 1, count, len(labels))[0]
        if per_class:
            rows = np.concatenate([rows[labels[rows] == c][:per_class] for c in range(problem.data.classes)])
        return [(problem.images[rows], problem.labels[rows])]

    def inputs(kind: str) -> jax.Array:
        if kind != "ones":
            raise ValueError(f"inputs={kind!r}; there are only 'ones', an image without data")
        return jnp.ones((1, *problem.data.train_images.shape[1:]))

    return {
        "key": problem.key,
        "loss": lambda temperature=1.0: cross_entropy(problem.apply, temperature),
        "batches": batches,
        # Not standardized, so that ones remain ones.
        "forward": lambda: lambda params, images: problem.model.apply(as_variables(params), images),
        "inputs": inputs,
        "examples": lambda: len(labels),
    }


def at_once(problem: Problem, stage: recipe.Planned) -> Stage:
    """A stage that does not train: a method, `encode` or a driver.

    Args:
        problem: network and data.
        stage: from `recipe.plan`.

    Returns:
        The stage; it raises `ValueError` if it changes nothing (drivers report the reason instead).
    """

    def start(previous: Previous) -> tuple[Any, Any]:
        now, tree = problem_at(problem, previous), last_tree(previous)
        if stage.name in DRIVERS:
            return now, DRIVERS[stage.name](now, tree, **stage.settings)
        tree = jax.tree.map(jnp.asarray, tree)
        work = stage.start(tree, traced(now, tree) if stage.parts else None)
        new, notes = work.applied(observed(now, stage.stats, tree))
        return now, (new, {"notes": list(dict.fromkeys((*work.notes, *notes)))})

    def finish(context: Problem, state: Any) -> Stored:
        tree, facts = state
        if "network" in facts:
            context = context._replace(model=models.create(**facts["network"]))
        return conclude(context, tree, **facts)

    return Stage(stage.label, {}, start, finish)


def _check(stage: recipe.Planned, examples: int) -> None:
    where = f"stage {stage.label}: "
    if stage.name == "distill" and not stage.settings["train"]["soft"]:
        raise ValueError(f"{where}distill needs `soft`, the weight of the teacher's loss")
    if stage.name in LIMITS:
        limits.check(stage.settings, LIMITS[stage.name], where)
    if stage.stats is not None:
        if set(stage.stats) != {"examples"}:
            raise ValueError(f"{where}stats={stage.stats!r} must say how many, as in {{'examples': 1024}}")
        limits.check(stage.stats, {"examples": limits.Limit(1, examples, whole=True)}, f"{where}stats.")
