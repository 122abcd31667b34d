"""One trained network in factorized and mixed forms, as they come and after a training run of what they store."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

import compressjax as cj
from compressjax import core, recipe
from experiments import app, limits
from experiments.problem import Problem, make_problem
from experiments.reproduce import quantized
from experiments.reproduce.loop import check, data_of, train
from experiments.reproduce.table import Claim

TRAINED = ", trained"  # ends the names of settings whose values train on


class Shared(NamedTuple):
    """Network and data, and by seed the trained dense networks."""

    problem: Problem
    trained: dict[int, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every form without and with a training run."""
    return ["dense", *(name + end for name, _ in config["methods"] for end in ("", TRAINED))]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad methods."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    examples = len(problem.data.train_labels)
    check(config, examples)
    check({**config, **config["tuning"]}, examples, "--config.tuning.")
    limits.check(config, {"calibration": limits.Limit(1, examples, whole=True)}, "--config.")
    for name, _ in config["methods"]:
        rules(config, name)
    return Shared(problem, {})


def rules(config: Mapping[str, Any], name: str) -> dict[core.Selector, core.Compression]:
    """The rules of a form: pairs of a selector and a method in the config."""
    found = dict(config["methods"])[name.removesuffix(TRAINED)]
    return {selector: recipe.make(spec, where=f"--config: {name}") for selector, spec in found}


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the dense network of a seed once, then factorizes it, and trains what that stores."""
    problem = shared.problem._replace(seed=seed)
    data = data_of(problem)
    if seed not in shared.trained:
        shared.trained[seed] = train(problem.apply, problem.initial_params(), data, config, seed=seed).params
    params = shared.trained[seed]
    if name == "dense":
        return figures(problem, params, params)
    chosen = rules(config, name)
    rows = np.random.default_rng(seed).permutation(len(data.train_labels))[: config["calibration"]]
    reads = any(c.needs for c in chosen.values())
    stats = jax.jit(cj.observe(problem.apply))(params, data.train[rows])[1] if reads else None
    tree = cj.compress(params, chosen, stats, layout=cj.layouts(problem.apply)(params, data.train[:2]))
    if name.endswith(TRAINED):
        lifted = cj.lift(problem.apply, on_fallback="ignore")
        tuning = {**config, **config["tuning"]}
        done = train(lambda flat, x: lifted(core.with_values(tree, flat), x), core.values(tree), data, tuning,
                     seed=seed + 1_000_000)  # fmt: skip
        tree = core.with_values(tree, done.params)
    return figures(problem, params, tree)


def figures(problem: Problem, params: Any, tree: Any) -> dict[str, float]:
    """Figures as of grids, and the numbers that train."""
    found = quantized.figures(problem, params, tree)
    return found | {"values": float(sum(x.size for x in core.values(tree).values()))}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
