"""One trained network in factorized and mixed forms, as they come and after a training run of what they store."""

from collections.abc import Mapping
from typing import Any

import compressjax as cj
from compressjax import core, recipe
from experiments import app
from experiments.problem import Problem
from experiments.reproduce import quantized
from experiments.reproduce.loop import train
from experiments.reproduce.table import Claim

TRAINED = ", trained"  # ends the names of settings whose values train on


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every form without and with a training run."""
    return ["dense", *(name + end for name, _ in config["methods"] for end in ("", TRAINED))]


def prepare(launch: app.Launch) -> quantized.Shared:
    """Data and network; refuses bad settings and methods."""
    shared = quantized.load(launch)
    for name, _ in launch.config["methods"]:
        rules(launch.config, name)
    return shared


def rules(config: Mapping[str, Any], name: str) -> dict[core.Selector, core.Compression]:
    """The rules of a form: pairs of a selector and a method in the config."""
    found = dict(config["methods"])[name.removesuffix(TRAINED)]
    return {selector: recipe.make(spec, where=f"--config: {name}") for selector, spec in found}


def run(shared: quantized.Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the dense network of a seed once, then factorizes it, and trains what that stores."""
    problem, data, params = quantized.dense(shared, config, seed)
    if name == "dense":
        return figures(problem, params, params)
    chosen = rules(config, name)
    reads = any(c.needs for c in chosen.values())
    stats = quantized.observed(problem, config, params, data, seed) if reads else None
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
