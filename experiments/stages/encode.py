"""Stage `encode`: what is left in float32 (biases, tables of centroids) goes onto integer grids; nothing is trained."""

from collections.abc import Mapping
from typing import Any

from compressjax import core, quant
from compressjax.recipe import Previous, Stage, Stored
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree


def make_encode(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: `rules`, triples of pattern, bits and activation (`None`, or `dynamic` where products are to run on
            integers).

    Returns:
        The stage; its result is the tree of the file.
    """
    rules = {
        pattern: quant.rtn(bits, granularity="tensor", activation=activation)
        for pattern, bits, activation in settings["rules"]
    }

    def start(previous: Previous) -> tuple[Any, Any]:
        return None, core.compress(last_tree(previous), rules)

    def finish(context: Any, tree: Any) -> Stored:
        return conclude(problem, tree)

    return Stage("encode", dict(settings), start, finish)
