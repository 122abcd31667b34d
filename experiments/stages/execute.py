"""Runs stages in order, and shows and writes their events."""

import time
from typing import Any

from compressjax import recipe
from experiments.problem import Problem
from experiments.view import View
from experiments.writers import Writers


def execute(
    stages: list[recipe.Stage], cache: str, problem: Problem, view: View, writers: Writers | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, recipe.Stored]]:
    """Runs stages from the last valid checkpoint.

    Args:
        stages: in order.
        cache: folder of checkpoints.
        problem: network and data.
        view: for the user; closed at the end.
        writers: for the files.

    Returns:
        Facts and results by stage.
    """
    results: dict[str, recipe.Stored] = {}
    facts: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    try:
        for event in recipe.run(stages, recipe.Store(cache), problem.data.fingerprint):
            name = event.stage.name
            if isinstance(event, recipe.Finished):
                results[name] = event.result
                first = next(iter(results.values())).tree["predictions"]
                changed = int((event.result.tree["predictions"] != first).sum())
                facts[name] = {**event.result.facts, "changed_predictions": changed}
                event = event._replace(result=event.result._replace(facts=facts[name]))
            if writers:
                _write(writers, event)
            if isinstance(event, recipe.Finished):
                facts[name] = {**facts[name], "seconds": round(time.monotonic() - began, 2), "cached": event.cached}
                began = time.monotonic()
            view.show(event)
    finally:
        view.close()
    return facts, results


def _write(writers: Writers, event: recipe.Event) -> None:
    if isinstance(event, recipe.Advanced):
        writers.add(event.stage.name, event.step, event.metrics)
        return
    if isinstance(event, recipe.Began) or event.cached:
        writers.begin(event.stage.name, event.history)
    if isinstance(event, recipe.Finished):
        writers.end(event.stage.name, event.stage.steps, event.result.facts)
