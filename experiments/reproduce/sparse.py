"""Masks that move while the network trains: gradual pruning, SET and RigL, beside masks that stay."""

from collections.abc import Mapping
from typing import Any

from compressjax import core, prune
from experiments.problem import Problem


def gradual(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Zeros rise from none along a cubic curve."""
    del problem
    steps, curve = config["steps"], config["gradual"]
    begin, end = (round(curve[name] * steps) for name in ("begin", "end"))
    distribution = config["distribution"]
    return prune.gradual(sparsity, begin=begin, end=end, every=curve["every"], distribution=distribution)


def static(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Random masks that stay."""
    return prune.static(sparsity, problem.key("masks"), distribution=config["distribution"])


def set_(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Small weights go, random ones come."""
    return prune.set_(sparsity, problem.key("masks"), **_exchange(config))


def rigl(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Small weights go, those with the largest gradients come."""
    return prune.rigl(sparsity, problem.key("masks"), **_exchange(config))


def _exchange(config: Mapping[str, Any]) -> dict[str, Any]:
    settings = config["exchange"]
    end = round(settings["end"] * config["steps"])
    return {**settings, "end": end, "distribution": config["distribution"]}
