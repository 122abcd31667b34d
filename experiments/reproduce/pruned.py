"""One network trained by several methods at several sparsities, next to the dense network."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import core, recipe
from experiments import app
from experiments.problem import Problem, make_problem
from experiments.reproduce.loop import check, data_of, train
from experiments.reproduce.table import Claim, asked
from experiments.stages import makers


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every method at every sparsity: `"snip 0.9"`; without sparsities, the methods."""
    names = [name for name, _ in config["methods"]]
    return ["dense", *([f"{name} {sparsity}" for sparsity in config["sparsities"] for name in names] or names)]


def prepare(launch: app.Launch) -> Problem:
    """Data and network; refuses bad methods."""
    problem = make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)
    check(launch.config, len(problem.data.train_labels))
    for name in settings(launch.config)[1:]:
        method(problem, launch.config, name)
    return problem


def method(problem: Problem, config: Mapping[str, Any], name: str) -> recipe.Planned:
    """The method of a cell; all its functions with an argument `sparsity` get the cell's.

    Args:
        problem: network and data.
        config: with `methods`, pairs of a label and what `recipe.plan` takes, and `steps`.
        name: of the cell.

    Returns:
        The stage that it is.
    """
    label, _, sparsity = name.partition(" ")
    return planned(problem, config["methods"], label, float(sparsity) if sparsity else None, config["steps"])


def planned(problem: Problem, methods: Any, label: str, sparsity: float | None, steps: int) -> recipe.Planned:
    """A method of a study as a stage with a training run of `steps` steps."""
    given = makers(problem) | ({} if sparsity is None else {"sparsity": lambda: sparsity})
    name, settings = dict(methods)[label]
    stages = [(name, {"label": label, **settings, "train": {}})]
    return recipe.plan(stages, jax.eval_shape(problem.initial_params), steps=lambda _: steps, given=given)[0]


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Initializes one network and trains it under one method."""
    problem = shared._replace(seed=seed)
    params = problem.initial_params()
    compression = None if name == "dense" else method(problem, config, name).start(params).compression
    done = train(problem.apply, params, data_of(problem), config, seed=seed, compression=compression)
    return {"error": done.errors[-1], **figures(done.encoded, config["units"])}


def figures(encoded: Any, units: bool) -> dict[str, float]:
    """Percent of zeros over the masked leaves, percent kept in the sparsest one, and the remaining units.

    Args:
        encoded: the tree with nodes.
        units: whether to count, for every masked leaf, inputs (of a convolution: filters) with any weight left.

    Returns:
        The figures by name; the zeros of a dense tree are 0.
    """
    masks = {path: np.asarray(node.mask) for path, node in core.nodes(encoded).items() if hasattr(node, "mask")}
    if not masks:
        return {"zeros": 0.0}
    kept, size = (sum(f(mask) for mask in masks.values()) for f in (np.sum, np.size))
    found = {"zeros": 100 * (1 - kept / size), "thinnest layer keeps": min(100 * m.mean() for m in masks.values())}
    if units:
        found |= {f"{path.split('/')[0]} units": _units(mask) for path, mask in masks.items()}
    return {name: float(value) for name, value in found.items()}


def _units(mask: np.ndarray) -> int:
    return int(mask.any((0, 1, 2) if mask.ndim == 4 else 1).sum())


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The config's targets for the settings of the grid."""
    return asked(config, settings(config))
