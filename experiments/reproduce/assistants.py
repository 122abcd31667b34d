"""Teacher assistants (Mirzadeh et al., arXiv:1902.03393) between a large teacher and a small student."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from compressjax import distill
from experiments import app, limits
from experiments.problem import Problem, make_problem
from experiments.reproduce.loop import Data, check, data_of
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import Network, Taught, gap_closed, network, shifted, soft_loss, teach, with_logits


class Shared(NamedTuple):
    """Network and data, and by seed the teachers and the errors of plain students."""

    problem: Problem
    data: Data
    teachers: dict[int, Taught]
    plain: dict[int, float]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`teacher`, `student`, `direct`, and chains through new assistants or those cut from the teacher: `chain 2`."""
    return ["teacher", "student", "direct", *(f"{arm} {n}" for arm in ("chain", "cut") for n in config["counts"])]


def prepare(launch: app.Launch) -> Shared:
    """Data and networks."""
    config = launch.config
    problem = make_problem({**config, "model": _dense(config, config["student"]), "seed": 0}, launch.data_cache,
                           launch.mesh)  # fmt: skip
    check(config, len(problem.data.train_labels))
    ranges = {"student": limits.COUNT, "teacher": limits.COUNT, "alpha": limits.FRACTION, "shift": limits.NOT_NEGATIVE}
    limits.check(config, ranges, "--config.")
    for count in config["counts"]:
        widths(problem, config, count)  # refuses what has no room
    return Shared(problem, data_of(problem), {}, {})


def widths(problem: Problem, config: Mapping[str, Any], count: int) -> list[int]:
    """Widths of so many assistants: the largest ones within sizes at even distances."""
    return distill.fit_sizes(
        lambda n: network(problem, _dense(config, n), 0).params, _sizes(problem, config, count),
        low=config["student"], high=config["teacher"],
    )  # fmt: skip


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one student, and its assistants before it."""
    problem = shared.problem
    if name == "student":
        return {"error": _plain(shared, config, seed)}
    teacher = _teacher(shared, config, seed)
    if name == "teacher":
        return {"error": teacher.error}
    arm, count = (name.split()[0], int(name.split()[1])) if " " in name else (name, 0)
    between: list[Network] = []
    if arm == "chain":
        between = [network(problem, _dense(config, n), seed) for n in widths(problem, config, count)]
    if arm == "cut":
        given = teacher.network
        made = distill.assistants_from(
            given.apply, given.params, shared.data.train[:2], limits=_sizes(problem, config, count)
        )
        between = [Network(each.fn, each.params) for each in made]

    def train(start: Network, logits: Any) -> Taught:
        data, loss = with_logits(shared.data, logits), soft_loss(start.apply, config["temperature"], config["alpha"])
        return teach(problem, start, data, config, seed=seed, loss=loss, ask=True)

    models = [*between, network(problem, _dense(config, config["student"]), seed)]
    *assistants, student = distill.chain_of(train, models, predict=lambda done: done.logits, teacher=teacher.logits)
    figures = {"error": student.error, **gap_closed(teacher.error, _plain(shared, config, seed), student.error)}
    return {**figures, **({"assistant's error": assistants[-1].error} if assistants else {})}


def _dense(config: Mapping[str, Any], width: int) -> dict[str, Any]:
    """The member of the family of dense networks with hidden layers of one width."""
    return {"name": "mlp", "settings": {"widths": (width,) * config["depth"]}}


def _sizes(problem: Problem, config: Mapping[str, Any], count: int) -> list[int]:
    """Parameters of so many assistants."""
    ends = [
        sum(x.size for x in jax.tree.leaves(network(problem, _dense(config, n), 0).params))
        for n in (config["teacher"], config["student"])
    ]
    return distill.assistants(ends[0], ends[1], count)


def _teacher(shared: Shared, config: Mapping[str, Any], seed: int) -> Taught:
    """The teacher of a seed, trained on shifted images."""
    if seed not in shared.teachers:
        start = network(shared.problem, _dense(config, config["teacher"]), seed)
        view = shifted(seed, config["shift"])
        shared.teachers[seed] = teach(shared.problem, start, shared.data, config, seed=seed, view=view, ask=True)
    return shared.teachers[seed]


def _plain(shared: Shared, config: Mapping[str, Any], seed: int) -> float:
    """The error of the student that learns from labels alone, in as many steps."""
    if seed not in shared.plain:
        start = network(shared.problem, _dense(config, config["student"]), seed)
        shared.plain[seed] = teach(shared.problem, start, shared.data, config, seed=seed).error
    return shared.plain[seed]


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
