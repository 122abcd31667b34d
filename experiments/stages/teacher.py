"""Stage `teacher`: the dense network, trained as well as the budget allows; the baseline of every comparison."""

from collections.abc import Mapping
from typing import Any

from compressjax.recipe import Stage
from experiments.problem import Problem
from experiments.stages.facts import conclude
from experiments.training import Context, fit


def make_teacher(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: see `training.fit`.

    Returns:
        The stage; its result is dense.
    """
    return fit(
        problem,
        "teacher",
        settings,
        begin=lambda previous: Context(problem.initial_params(), None),
        conclude=lambda context, tree: conclude(problem, tree),
    )
