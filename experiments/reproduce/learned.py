"""Sparsity that is learned with the weights: sparse variational dropout, and gates under an L0 penalty."""

from collections.abc import Mapping
from typing import Any

import optax

from compressjax import core, prune
from experiments.problem import Problem


def variational(problem: Problem, config: Mapping[str, Any], sparsity: float | None) -> core.Compression:
    """Noise of its own for every weight; the sparsity follows from the bound."""
    del sparsity
    settings, steps = config["variational"], config["steps"]
    return prune.variational(
        len(problem.data.train_labels),
        problem.key("noise"),
        end=round(settings["end"] * steps),
        warmup=round(settings["warmup"] * steps),
        optimizer=optax.adam(settings["learning_rate"]),
    )


def l0(problem: Problem, config: Mapping[str, Any], sparsity: float | None) -> core.Compression:
    """A gate for every input of a dense layer and every filter of a convolution."""
    del sparsity
    settings, steps = config["l0"], config["steps"]

    def gates(name: str, units: int) -> core.Compression:
        return prune.l0(
            settings["penalty"] / len(problem.data.train_labels),
            problem.key(name),
            end=round(settings["end"] * steps),
            units=units,
            keep=settings["keep"],
            optimizer=optax.adam(settings["learning_rate"]),
        )

    def filters(path: str, leaf: Any) -> bool:
        return path.endswith("kernel") and leaf.ndim == 4

    def inputs(path: str, leaf: Any) -> bool:
        return path.endswith("kernel") and leaf.ndim == 2

    dense = core.only(inputs, gates("inputs", 0))
    if not any(filters(path, leaf) for path, leaf in core.values(problem.initial_params()).items()):
        return dense
    return core.chain(core.only(filters, gates("filters", -1)), dense)
