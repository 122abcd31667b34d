"""Stage `qat`: training through rounding."""

from collections.abc import Mapping
from typing import Any

from compressjax import core, quant
from compressjax.recipe import Previous, Stage
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree
from experiments.training import Context, fit


def make_qat(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: see `training.fit`; `rules`, triples of pattern, bits and granularity (`tensor`, `channel` or a group
            size).

    Returns:
        The stage; its result has `Quantized` nodes.
    """
    parts = [
        core.only(pattern, quant.fake_quant(bits, granularity=grain)) for pattern, bits, grain in settings["rules"]
    ]

    def begin(previous: Previous) -> Context:
        return Context(last_tree(previous), previous["teacher"].tree["params"])

    return fit(
        problem,
        "qat",
        settings,
        begin=begin,
        conclude=lambda context, tree: conclude(problem, tree),
        compression=core.chain(*parts),
    )
