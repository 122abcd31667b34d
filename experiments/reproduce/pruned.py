"""One network, trained under one method after another at one sparsity after another, beside the dense one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compressjax import core
from experiments import app
from experiments.problem import Problem, make_problem
from experiments.reproduce import at_init, learned, sparse
from experiments.reproduce.loop import data_of, train
from experiments.reproduce.table import Claim

METHODS: dict[str, Callable[[Problem, Mapping[str, Any], Any], core.Compression]] = {
    "random": at_init.random,
    "magnitude": at_init.magnitude,
    "magnitude_global": at_init.magnitude_global,
    "snip": at_init.snip,
    "grasp": at_init.grasp,
    "synflow": at_init.synflow,
    "gradual": sparse.gradual,
    "static": sparse.static,
    "set": sparse.set_,
    "rigl": sparse.rigl,
    "variational": learned.variational,
    "l0": learned.l0,
}


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every method at every sparsity: `"snip 0.9"`; where there are no sparsities, the methods alone."""
    unknown = sorted(set(config["methods"]) - set(METHODS))
    if unknown:
        raise ValueError(f"--config.methods: {unknown} do not exist; choose among {', '.join(METHODS)}")
    names = [f"{method} {sparsity}" for sparsity in config["sparsities"] for method in config["methods"]]
    return ["dense", *(names or config["methods"])]


def prepare(launch: app.Launch) -> Problem:
    """Data and network."""
    return make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Draws one network and trains it under one method."""
    problem = shared._replace(seed=seed)
    compression = None
    if name != "dense":
        method, *sparsity = name.split()
        compression = METHODS[method](problem, config, *map(float, sparsity or [0]))
    done = train(problem.apply, problem.initial_params(), data_of(problem), config, seed=seed, compression=compression)
    return {"error": done.errors[-1], **figures(done.encoded, config["units"])}


def figures(encoded: Any, units: bool) -> dict[str, float]:
    """Zeros in percent over the masked leaves, what the thinnest of them keeps, and which units are left.

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
    """What the config asks of the settings that are run."""
    names = {*settings(config), ""}
    return [claim for claim in (Claim(*row) for row in config["asked"]) if {claim.name, claim.against} <= names]
