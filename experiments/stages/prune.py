"""Stage `prune`: gradual magnitude pruning, with the teacher's soft targets while it lasts."""

from collections.abc import Mapping
from typing import Any

from compressjax import core, prune
from compressjax.recipe import Previous, Stage
from experiments.problem import Problem
from experiments.stages.facts import conclude, either
from experiments.training import Context, count_steps, fit


def make_prune(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: see `training.fit`; `sparsity` (pairs of pattern and fraction of zeros), `until` (fraction of the
            steps after which the masks are final) and `mask_every` (steps between masks).

    Returns:
        The stage; its result has `Masked` nodes.
    """
    steps = count_steps(settings, len(problem.data.train_labels))
    sparsity = dict(settings["sparsity"])
    compression = prune.gradual(
        max(sparsity.values()),
        end=round(settings["until"] * steps),
        every=settings["mask_every"],
        distribution=sparsity,
    )

    def begin(previous: Previous) -> Context:
        teacher = previous["teacher"].tree["params"]
        return Context(teacher, teacher)

    return fit(
        problem,
        "prune",
        settings,
        begin=begin,
        conclude=lambda context, tree: conclude(problem, tree),
        compression=core.only(either(sparsity), compression),
    )
