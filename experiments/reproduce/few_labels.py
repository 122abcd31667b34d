"""A small student, few labels: a teacher labels the rest of the data."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import distill
from experiments import app, limits
from experiments.problem import Problem, cross_entropy, make_problem, predict
from experiments.reproduce.loop import Data, View, check, data_of
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import Network, Taught, network, shifted, soft_loss, teach, with_logits

TEACHERS = ("teacher", "ensemble", "teacher, FixMatch")
# How a student learns from each teacher.
WAYS = ("soft", "hard", "certain", "balanced")


class Shared(NamedTuple):
    """Network and data, and the teachers by name and seed."""

    problem: Problem
    data: Data
    teachers: dict[tuple[str, int], Taught]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The teachers, the student on the few labels, on those of each teacher in four ways, and on all true ones."""
    taught = [f"{way} labels of {teacher}" for teacher in config["teachers"] for way in WAYS]
    return [*config["teachers"], "few labels", *taught, "all labels"]


def prepare(launch: app.Launch) -> Shared:
    """Data and networks."""
    config = launch.config
    problem = make_problem({**config, "model": config["student"], "seed": 0}, launch.data_cache, launch.mesh)
    check(config, len(problem.data.train_labels))
    ranges = {
        "labels": limits.COUNT,
        "ensemble": limits.COUNT,
        "threshold": limits.FRACTION,
        "shift": limits.COUNT,
        "cutout": limits.COUNT,
    }
    limits.check(config, ranges, "--config.")
    few(problem, config, 0)
    network(problem, config["teacher"], 0)  # refuses bad settings before training
    return Shared(problem, data_of(problem), {})


def few(problem: Problem, config: Mapping[str, Any], seed: int) -> np.ndarray:
    """Rows of the labeled examples, as many of every class, drawn by seed."""
    labels, generator = problem.data.train_labels, np.random.default_rng(seed)
    rows = [generator.permutation(np.flatnonzero(labels == c))[: config["labels"]] for c in np.unique(labels)]
    if (least := min(map(len, rows))) < config["labels"]:
        raise ValueError(f"--config.labels={config['labels']}: one class has {least} examples; lower it")
    return np.concatenate(rows)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one network; teachers once per seed. All see shifted images."""
    problem, data = shared.problem, shared.data
    if name in TEACHERS:
        return _facts(problem, _teacher(shared, config, name, seed))
    start, view = network(problem, config["student"], seed), shifted(seed, config["shift"])
    if name == "all labels":
        return {"error": teach(problem, start, data, config, seed=seed, view=view).error}
    if name == "few labels":
        return {"error": _on_few(shared, config, start, seed, view).error}
    way, teacher = name.split(" labels of ")
    taught, loss = labeled(data, _teacher(shared, config, teacher, seed).logits, way, config, start.apply)
    return {"error": teach(problem, start, taught, fitting(config, taught), seed=seed, loss=loss, view=view).error}


def labeled(
    data: Data, logits: np.ndarray, way: str, config: Mapping[str, Any], apply: Callable[..., jax.Array]
) -> tuple[Data, Callable[..., jax.Array] | None]:
    """Training data with the labels of a teacher, and the loss of a student that reads them."""
    if way == "soft":
        return with_logits(data, logits), soft_loss(apply, config["temperature"], 1.0)
    found = distill.pseudo_labels(jnp.asarray(logits), threshold=config["threshold"])
    rows = np.arange(len(logits))
    if way == "certain":
        rows = np.flatnonzero(found.weights)
    if way == "balanced":
        rows = distill.balanced_rows(found.labels, found.confidence, config["balanced"])
    if not len(rows):
        raise ValueError(f"the teacher is certain of no label; lower --config.threshold={config['threshold']}")
    return data._replace(train=data.train[rows], train_labels=found.labels[rows]), None


def _teacher(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> Taught:
    """A teacher of a seed, from the few labels; FixMatch also reads the images without labels."""
    place = (name, seed)
    if place not in shared.teachers:
        start = network(shared.problem, config["teacher"], seed)
        if name == "teacher":
            done = _on_few(shared, config, start, seed, shifted(seed, config["shift"]), ask=True)
        elif name == "ensemble":
            done = _ensemble(shared, config, seed)
        else:
            done = _fix_match(shared, config, start, seed)
        shared.teachers[place] = done
    return shared.teachers[place]


def _on_few(
    shared: Shared, config: Mapping[str, Any], start: Network, seed: int, view: View | None, *, ask: bool = False
) -> Taught:
    """Plain training on the labeled examples, in as many steps as all others."""
    rows, data = few(shared.problem, config, seed), shared.data
    small = data._replace(train=data.train[rows], train_labels=data.train_labels[rows])
    return teach(shared.problem, start, small, fitting(config, small), seed=seed, view=view, ask=ask)


def fitting(config: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """The config with batches of at most all examples."""
    return {**config, "batch": min(config["batch"], len(data.train_labels))}


def _ensemble(shared: Shared, config: Mapping[str, Any], seed: int) -> Taught:
    """Networks that differ in their start and in the shifts they see; the logits of their mean distribution."""
    problem, done = shared.problem, []
    for i in range(config["ensemble"]):
        own = seed + 1000 * i
        start, view = network(problem, config["teacher"], own), shifted(own, config["shift"])
        done.append(_on_few(shared, config, start, seed, view, ask=True))
    tested = [predict(one.network.apply, one.network.params, problem.data.test_images) for one in done]
    wrong = np.mean(np.argmax(distill.ensemble_targets(tested), -1) != problem.data.test_labels)
    logits = distill.ensemble_targets([one.logits for one in done])
    return done[0]._replace(error=100 * float(wrong), logits=np.asarray(logits))


def _fix_match(shared: Shared, config: Mapping[str, Any], start: Network, seed: int) -> Taught:
    """All labeled examples in every step, and a batch of images without labels in a weak and a strong view."""
    rows, data = few(shared.problem, config, seed), shared.data
    images, labels = data.train[rows], data.train_labels[rows]
    weak, strong = shifted(seed, config["shift"]), shifted(seed + 1, config["shift"], config["cutout"])
    entropy = cross_entropy(start.apply)

    def views(step: jax.Array, x: jax.Array) -> Any:
        return weak(step, images), weak(step, x), strong(step, x)

    def loss(params: Any, seen: Any, _: jax.Array) -> jax.Array:
        known, first, second = seen
        guess, answer = start.apply(params, first), start.apply(params, second)
        unknown = distill.pseudo_label_loss(answer, guess, threshold=config["threshold"])
        return entropy(params, (known, labels)) + unknown

    return teach(shared.problem, start, data, config, seed=seed, loss=loss, view=views, ask=True)


def _facts(problem: Problem, done: Taught) -> dict[str, float]:
    """Its test error, and how many of its labels of the training images are wrong."""
    wrong = np.mean(done.logits.argmax(-1) != problem.data.train_labels)
    return {"error": done.error, "wrong labels, %": 100 * float(wrong)}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
