"""Runs stages in order, and shows and writes their events."""

import contextlib
import shutil
import time
from typing import Any

import jax

from compressjax import recipe
from experiments import hosts, stopping
from experiments.logs import Log
from experiments.problem import Problem
from experiments.traces import Tracer
from experiments.view import View
from experiments.writers import Writers

# Parameters and two moments while a stage trains, and the parameters of its result.
COPIES = 4


def execute(
    stages: list[recipe.Stage],
    cache: str,
    problem: Problem,
    view: View,
    writers: Writers | None = None,
    *,
    log: Log | None = None,
    profile: str = "",
) -> tuple[dict[str, dict[str, Any]], dict[str, recipe.Stored]]:
    """Runs stages from the last valid checkpoint; of several processes, all must call it together.

    Args:
        stages: in order.
        cache: folder of checkpoints.
        problem: network and data.
        view: for the user; closed at the end.
        writers: for the files.
        log: of this process.
        profile: folder of profiler traces; none if empty.

    Returns:
        Facts and results by stage.

    Raises:
        KeyboardInterrupt: If a signal asked for a stop; the message says what is on disk.
    """
    results: dict[str, recipe.Stored] = {}
    facts: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    with (
        stopping.listening(),
        contextlib.closing(view),
        contextlib.closing(Tracer(profile)) as tracer,
        contextlib.closing(recipe.run(stages, hosts.store(cache), problem.data.fingerprint, stop=_stops)) as events,
    ):
        for event in events:
            tracer.see(event)
            if log:
                log.see(event)
            name = event.stage.name
            if isinstance(event, recipe.Stopped):
                at = f"at step {event.step} of" if event.step else "before"
                raise KeyboardInterrupt(f"stopped {at} stage {name}; everything until there is in {cache}")
            if isinstance(event, recipe.Finished):
                results[name] = event.result
                first = next(iter(results.values())).tree["predictions"]
                changed = int((event.result.tree["predictions"] != first).sum())
                facts[name] = {**event.result.facts, "changed_predictions": changed}
                event = event._replace(result=event.result._replace(facts=facts[name]))
            if isinstance(event, recipe.Began) and event.stage.steps:
                hosts.told(lambda: check_space(cache, problem))
            if writers:
                _write(writers, event)
            if isinstance(event, recipe.Finished):
                facts[name] = {**facts[name], "seconds": round(time.monotonic() - began, 2), "cached": event.cached}
                began = time.monotonic()
            view.show(event)
        if _stops():
            raise KeyboardInterrupt(f"stopped after the last stage; all stages are in {cache}")
    return facts, results


def _stops() -> bool:
    """Whether a signal came to any process; then it counts as having come to all, which stop together."""
    stopping.follow(hosts.largest(stopping.signaled()))
    return stopping.signaled() != 0


def check_space(cache: str, problem: Problem) -> None:
    """Raises `ValueError` if the disk cannot hold one checkpoint of Adam and the network that it trains."""
    leaves = jax.tree.leaves(jax.eval_shape(problem.initial_params))
    needed = COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise ValueError(
            f"{cache} is on a disk with {free:,} free bytes, and one checkpoint needs about {needed:,}; "
            "free space there, or name a folder on another disk with --cache"
        )


def _write(writers: Writers, event: recipe.Event) -> None:
    if isinstance(event, recipe.Advanced):
        writers.add(event.stage.name, event.step, event.metrics)
    elif isinstance(event, recipe.Began):
        writers.begin(event.stage.name, event.history)
    elif isinstance(event, recipe.Finished):
        if event.cached:
            writers.begin(event.stage.name, event.history)
        writers.end(event.stage.name, event.stage.steps, event.result.facts)
