"""Soft targets (Hinton et al., arXiv:1503.02531), also for a student that never sees one of the classes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments import app, limits
from experiments.problem import Problem, make_problem, predict
from experiments.reproduce.loop import Data, check, data_of
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import Network, Taught, gap_closed, network, shifted, soft_loss, teach, with_logits


class Shared(NamedTuple):
    """Network and data, and by seed the teachers and the errors of plain students."""

    problem: Problem
    data: Data
    teachers: dict[int, Taught]
    plain: dict[int, float]


class Arm(NamedTuple):
    """A student: its temperature (None trains on labels), and whether a class is left out of its data."""

    temperature: float | None
    omits: bool


def arms(config: Mapping[str, Any]) -> dict[str, Arm]:
    """Students by name; the teacher is not one."""
    found = {}
    for name, omits in (("student", False), (f"without class {config['omitted']}", True)):
        found[name] = Arm(None, omits)
        found.update({f"{name}, T {t}": Arm(t, omits) for t in config["temperatures"]})
    return found


def settings(config: Mapping[str, Any]) -> list[str]:
    """`teacher`, `student`, `student, T 4`, ..., and the same `without class 3`."""
    return ["teacher", *arms(config)]


def prepare(launch: app.Launch) -> Shared:
    """Data and networks."""
    config = launch.config
    problem = make_problem({**config, "model": config["student"], "seed": 0}, launch.data_cache, launch.mesh)
    check(config, len(problem.data.train_labels))
    classes = limits.Limit(0, problem.data.classes - 1, whole=True)
    limits.check(config, {"omitted": classes, "alpha": limits.FRACTION, "shift": limits.NOT_NEGATIVE}, "--config.")
    network(problem, config["teacher"], 0)  # refuses bad settings before training
    return Shared(problem, data_of(problem), {}, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one student; the teacher and the plain student of a seed once for all."""
    if name == "teacher":
        return {"error": _teacher(shared, config, seed).error}
    arm = arms(config)[name]
    if arm == Arm(None, False):
        return {"error": _plain(shared, config, seed)}
    done = _student(shared, config, arm, seed)
    if arm.omits:
        return _of_class(shared, done.network, done.logits, config["omitted"])
    return {"error": done.error, **gap_closed(_teacher(shared, config, seed).error, _plain(shared, config, seed),
                                              done.error)}  # fmt: skip


def _teacher(shared: Shared, config: Mapping[str, Any], seed: int) -> Taught:
    """The teacher of a seed, trained on shifted images."""
    if seed not in shared.teachers:
        start, view = network(shared.problem, config["teacher"], seed), shifted(seed, config["shift"])
        shared.teachers[seed] = teach(shared.problem, start, shared.data, config, seed=seed, view=view, ask=True)
    return shared.teachers[seed]


def _plain(shared: Shared, config: Mapping[str, Any], seed: int) -> float:
    """The error of the student that learns from labels alone."""
    if seed not in shared.plain:
        shared.plain[seed] = _student(shared, config, Arm(None, False), seed).error
    return shared.plain[seed]


def _student(shared: Shared, config: Mapping[str, Any], arm: Arm, seed: int) -> Taught:
    """Trains a student, on soft targets alone where a class is left out: its labels would say more than its images."""
    start, data, loss = network(shared.problem, config["student"], seed), shared.data, None
    if arm.temperature is not None:
        data = with_logits(data, _teacher(shared, config, seed).logits)
        loss = soft_loss(start.apply, arm.temperature, 1.0 if arm.omits else config["alpha"])
    if arm.omits:
        rows = np.flatnonzero(shared.problem.data.train_labels != config["omitted"])
        data = data._replace(train=data.train[rows], train_labels=data.train_labels[rows])
    return teach(shared.problem, start, data, config, seed=seed, loss=loss, ask=arm.omits)


def _of_class(shared: Shared, student: Network, seen: np.ndarray, omitted: int) -> dict[str, float]:
    """Errors and the recognized share of a class, before and after its bias is corrected."""
    held = shared.problem.data
    logits = predict(student.apply, student.params, held.test_images)
    found: dict[str, float] = {}
    for words, bias in (("", 0.0), (" corrected", bias_of(seen, omitted, 1 / held.classes))):
        moved = logits.copy()
        moved[:, omitted] += bias
        right = moved.argmax(-1) == held.test_labels
        found["error" + words] = 100 * float(np.mean(~right))
        found["recognized" + words] = 100 * float(np.mean(right[held.test_labels == omitted]))
    return found


def bias_of(logits: np.ndarray, chosen: int, share: float) -> float:
    """The number that, added to the logit of a class, makes it the most probable one of a share of the examples.

    .. math:: b = Q_{share}(\\max_{c \\ne k} z_c - z_k)

    Reads no labels, unlike the paper, which takes the bias with the least test error.

    Example:
        >>> bias_of(np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 5.0]]), 0, 0.5)
        3.0
    """
    others = np.delete(logits, chosen, axis=1).max(-1)
    return float(jnp.quantile(others - logits[:, chosen], share))


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
