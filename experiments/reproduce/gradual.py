"""Gradual magnitude pruning at several sparsities, trained from scratch in the time of the dense network."""

from collections.abc import Mapping
from typing import Any

from compressjax import core, prune
from experiments import app
from experiments.problem import Problem, make_problem
from experiments.reproduce.loop import data_of, train
from experiments.reproduce.table import Claim


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then one setting a sparsity."""
    return ["dense", *(f"sparsity {sparsity}" for sparsity, _ in config["sparsities"])]


def prepare(launch: app.Launch) -> Problem:
    """Data and network."""
    return make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one network."""
    problem = shared._replace(seed=seed)
    compression = None
    if name != "dense":
        steps = config["steps"]
        compression = prune.gradual(
            float(name.split()[-1]),
            begin=round(config["begin"] * steps),
            end=round(config["end"] * steps),
            every=config["every"],
            distribution=config["distribution"],
        )
    done = train(problem.apply, problem.initial_params(), data_of(problem), config, seed=seed, compression=compression)
    zeros = 0.0
    if compression is not None:
        masks = [node.mask for node in core.nodes(compression.encode(done.params, done.state)).values()
                 if hasattr(node, "mask")]  # fmt: skip
        zeros = 100 * (1 - sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks))
    return {"error": done.errors[-1], "zeros": zeros}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Each sparsity against the dense network."""
    return [Claim(f"sparsity {sparsity}", "dense", None, points) for sparsity, points in config["sparsities"]]
