"""A pair of residual networks with BatchNorm under losses on logits."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from compressjax import distill
from experiments import app, limits, models
from experiments.problem import Problem, make_problem, mean_entropy, predict, wrong_percent
from experiments.reproduce.loop import check, train_statistics
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import gap_closed, joined_rows, parted_rows

# Losses of (logits of the student, logits of the teacher, labels), each added to the cross-entropy.
LOSSES: dict[str, Callable[[jax.Array, jax.Array, jax.Array], jax.Array]] = {
    "soft targets": lambda s, t, y: distill.soft_target_loss(s, t, temperature=4.0),
    "DKD": distill.dkd_loss,
    "DKD, beta 1": lambda s, t, y: distill.dkd_loss(s, t, y, beta=1.0),
    "DIST": lambda s, t, y: 2.0 * distill.dist_loss(s, t),
}


class Shared(NamedTuple):
    """The student on its data, and by seed the errors of teachers, their logits of all training images, and more."""

    problem: Problem
    known: dict[tuple[str, int], Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`teacher`, `plain`, and all losses."""
    return ["teacher", "plain", *LOSSES]


def prepare(launch: app.Launch) -> Shared:
    """Data and student; refuses bad settings, and networks without statistics."""
    config = launch.config
    problem = make_problem({**config, "model": config["student"], "seed": 0}, launch.data_cache, launch.mesh)
    check(config, len(problem.data.train_labels))
    limits.check(config, {"strength": limits.POSITIVE}, "--config.")
    for name in ("teacher", "student"):
        model = models.create(config[name]["name"], config[name]["settings"])
        if "batch_stats" not in jax.eval_shape(problem._replace(model=model).initial_params):
            raise ValueError(f"--config.{name}.name={config[name]['name']!r} has no BatchNorm; choose resnet or stages")
    return Shared(problem, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the teacher and the plain student of a seed once, then a student under a loss."""
    problem = shared.problem._replace(seed=seed)
    if ("teacher", seed) not in shared.known:
        model = models.create(config["teacher"]["name"], config["teacher"]["settings"])
        large = problem._replace(model=model)
        found = train_statistics(large, config)
        logits = predict(large.apply, found, problem.data.train_images)
        shared.known["teacher", seed] = wrong_percent(large, large.apply, found), logits
    if ("plain", seed) not in shared.known:
        shared.known["plain", seed] = wrong_percent(problem, problem.apply, train_statistics(problem, config))
    (teacher, soft), plain = shared.known["teacher", seed], shared.known["plain", seed]
    if name in ("teacher", "plain"):
        return {"error": teacher if name == "teacher" else plain}
    targets = joined_rows(soft, problem.data.train_labels)
    student = train_statistics(problem, config, joined(LOSSES[name], config["strength"]), targets)
    done = wrong_percent(problem, problem.apply, student)
    return {"error": done, **gap_closed(teacher, plain, done)}


def joined(
    loss: Callable[[jax.Array, jax.Array, jax.Array], jax.Array], strength: float
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Cross-entropy and a loss, of logits and rows of `joined_rows`."""

    def value(logits: jax.Array, targets: jax.Array) -> jax.Array:
        soft, labels = parted_rows(targets)
        return mean_entropy(logits, labels) + strength * loss(logits, soft, labels)

    return value


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
