"""Pruning during transfer: a network trained on some classes is pruned while it learns others."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import recipe
from experiments import app, models
from experiments.problem import Problem, make_problem, standardized_apply
from experiments.reproduce.loop import Data, check, data_of, train
from experiments.reproduce.pruned import figures, planned
from experiments.reproduce.table import Claim


class Shared(NamedTuple):
    """Network, both tasks, and by seed the networks trained on the first task."""

    problem: Problem
    apply: Callable
    source: Data
    target: Data
    trained: dict[int, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then both methods at every density: `"movement 0.05"`."""
    return ["dense", *(f"{name} {density}" for density in config["densities"] for name, _ in config["methods"])]


def prepare(launch: app.Launch) -> Shared:
    """Data and network, with one output per class of a task."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    tasks = [_of_classes(data_of(problem), config[name]) for name in ("source", "target")]
    for name, task in zip(("pretraining", "tuning"), tasks, strict=True):
        check(config[name], len(task.train_labels), f"--config.{name}.")
    own = {**config["model"]["settings"], "classes": len(config["target"])}
    problem = problem._replace(model=models.create(config["model"]["name"], own))
    for name in settings(config)[1:]:
        method(problem, config, name)  # refuses bad settings before training
    return Shared(problem, standardized_apply(problem.model, problem.data.mean, problem.data.std), *tasks, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Continues from the first task's weights with a new last layer."""
    if seed not in shared.trained:
        start = shared.problem._replace(seed=seed).initial_params()
        shared.trained[seed] = train(shared.apply, start, shared.source, config["pretraining"], seed=seed).params
    fresh = shared.problem._replace(seed=seed + 1_000_000).initial_params()
    params = {**shared.trained[seed], _last(fresh): fresh[_last(fresh)]}
    compression = None if name == "dense" else method(shared.problem, config, name).start(params).compression
    done = train(shared.apply, params, shared.target, config["tuning"], seed=seed, compression=compression)
    return {"error": done.errors[-1], **figures(done.encoded, units=False)}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Movement against magnitude, at densities where the paper ranks them."""
    few = [Claim(f"movement {d}", f"magnitude {d}", None, 0.0) for d in config["densities"] if d <= 0.05]
    many = [Claim(f"movement {d}", f"magnitude {d}", 0.0, None) for d in config["densities"] if d >= 0.5]
    return few + many


def method(problem: Problem, config: Mapping[str, Any], name: str) -> recipe.Planned:
    """The method of a cell, with the density in its name."""
    label, density = name.split()
    return planned(problem, config["methods"], label, 1 - float(density), config["tuning"]["steps"])


def _last(params: Mapping[str, Any]) -> str:
    return max(params, key=lambda name: int(name.rsplit("_", 1)[1]))


def _of_classes(data: Data, classes: tuple[int, ...]) -> Data:
    """The examples of some classes, relabeled from 0."""
    parts: list[jax.Array] = []
    for x, y in ((data.train, data.train_labels), (data.test, data.test_labels)):
        rows = np.flatnonzero(np.isin(np.asarray(y), classes))
        parts += [x[rows], jnp.searchsorted(jnp.asarray(classes), y[rows])]
    return Data(*parts)
