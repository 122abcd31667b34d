"""Stage `distill`: what is still trainable (centroids, factors, biases) recovers, taught by the teacher."""

from collections.abc import Mapping
from typing import Any

from compressjax.recipe import Previous, Stage
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree
from experiments.training import Context, fit


def make_distill(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: see `training.fit`.

    Returns:
        The stage; its result has the nodes it was given.
    """

    def begin(previous: Previous) -> Context:
        return Context(last_tree(previous), previous["teacher"].tree["params"])

    return fit(problem, "distill", settings, begin=begin, conclude=lambda context, tree: conclude(problem, tree))
