"""The main job: stages in order, then the file, a fresh process that reads it, and the report."""

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from compressjax import artifact, recipe
from experiments import report
from experiments.app import Launch, command, describe_machine, write
from experiments.problem import Problem, make_problem
from experiments.stages import STAGES
from experiments.stages.patterns import check_patterns
from experiments.training import with_run
from experiments.view import View
from experiments.writers import Writers


def build(problem: Problem, config: dict[str, Any]) -> list[recipe.Stage]:
    """The stages that a config asks for, in order.

    Args:
        problem: network and data.
        config: with the settings of every stage, and `skip`, the stages to leave out.

    Returns:
        The stages.

    Raises:
        ValueError: when `skip` names no stage, or the teacher, or a pattern matches no leaf of the network.
    """
    skipped = set(config["skip"])
    if skipped - set(STAGES) or "teacher" in skipped:
        raise ValueError(
            f"--config.skip={sorted(skipped)} must name stages other than the teacher: {', '.join(list(STAGES)[1:])}"
        )
    check_patterns(problem, config)
    makers = {name: make for name, make in STAGES.items() if name not in skipped}
    return [with_run(make(problem, config[name]), problem, config) for name, make in makers.items()]


def compress(launch: Launch) -> None:
    """Runs the main job.

    Args:
        launch: config, folders and devices.
    """
    problem = make_problem(launch.config, launch.data_cache, launch.mesh)
    store, view = recipe.Store(launch.cache), View()
    stages = build(problem, launch.config)
    # Only now, so that a command with a mistake in it does not take the folder for itself.
    recipe.claim(launch.workdir, launch.config)
    with Writers(launch.workdir) as writers:
        try:
            facts, results = run_stages(stages, store, problem, view, writers)
        finally:
            view.close()
    model = os.path.join(launch.workdir, "model.cjx")
    manifest = artifact.save(model, results[stages[-1].name].tree["params"], metadata=metadata(problem, launch.config))
    view.console.print(f"saved {model}; a fresh process reads it and evaluates ...")
    teacher = recipe.chain_keys(problem.data.fingerprint, [(stages[0].name, stages[0].settings)])[0]
    reloaded, predictions = reload(launch, model, f"{launch.cache}::teacher-{teacher[:16]}/final")
    found = report.build(
        facts, results, manifest, reloaded, predictions, problem.data.test_labels, about(problem, launch)
    )
    write_reports(found, launch.workdir)
    report.show(found, view.console)
    view.console.print(f"wrote model.cjx, report.json, report.md and report.html to {launch.workdir}")


def run_stages(
    stages: list[recipe.Stage], store: recipe.Store, problem: Problem, view: View, writers: Writers
) -> tuple[dict[str, dict[str, Any]], dict[str, recipe.Stored]]:
    """Runs stages, showing and writing what happens.

    Args:
        stages: in order.
        store: of checkpoints.
        problem: network and data.
        view: for the user.
        writers: for the files.

    Returns:
        Facts and results by stage.
    """
    results: dict[str, recipe.Stored] = {}
    facts: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    for event in recipe.run(stages, store, problem.data.fingerprint):
        name = event.stage.name
        if isinstance(event, recipe.Began):
            writers.begin(name, event.history)
        elif isinstance(event, recipe.Advanced):
            writers.add(name, event.step, event.metrics)
        else:
            if event.cached:
                writers.begin(name, event.history)
            results[name] = event.result
            first = next(iter(results.values())).tree["predictions"]
            changed = int((event.result.tree["predictions"] != first).sum())
            facts[name] = {**event.result.facts, "changed_predictions": changed}
            writers.end(name, event.stage.steps, facts[name])
            event = event._replace(result=event.result._replace(facts=facts[name]))
            facts[name] = {**facts[name], "seconds": round(time.monotonic() - began, 2), "cached": event.cached}
            began = time.monotonic()
        view.show(event)
    return facts, results


def metadata(problem: Problem, config: dict[str, Any]) -> dict[str, Any]:
    """What the file says about itself: enough to rebuild the function and to find the data.

    Args:
        problem: network and data.
        config: of the run.

    Returns:
        JSON values.
    """
    return {
        "recipe": {"stages": [name for name in STAGES if name not in config["skip"]],
                   "config": recipe.digest(config)[:16]},
        "seed": config["seed"],
        "model": config["model"],
        "data": {"name": problem.data.name, "fingerprint": problem.data.fingerprint},
    }  # fmt: skip


def reload(launch: Launch, model: str, dense: str) -> tuple[dict[str, Any], np.ndarray]:
    """Evaluates a file in a process of its own.

    Args:
        launch: of this run.
        model: the file.
        dense: checkpoint of the dense parameters, `root::name`.

    Returns:
        What the process found, and its predictions.

    Raises:
        RuntimeError: when the process fails.
    """
    output = os.path.join(launch.workdir, "reload")
    flags = [
        f"--artifact={model}",
        f"--output={output}",
        f"--data_path={launch.config['data']['path']}",
        f"--data_cache={launch.data_cache}",
        f"--dense={dense}",
    ]
    # The package is found as it was found here, whatever the current folder is.
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "experiments.reload", *flags],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    if done.returncode:
        raise RuntimeError(f"the fresh process that reads {model} failed:\n{done.stderr[-4000:]}")
    with open(f"{output}.json", encoding="utf-8") as file:
        return json.load(file), np.load(f"{output}.npy", allow_pickle=False)


def about(problem: Problem, launch: Launch) -> dict[str, Any]:
    """Further fields of the report: how it came to be.

    Args:
        problem: network and data.
        launch: of this run.

    Returns:
        JSON values.
    """
    return {
        "name": f"{problem.data.name}, {launch.config['model']['name']}",
        "command": command(),
        "config": launch.config,
        "seed": launch.config["seed"],
        "data": {"name": problem.data.name, "fingerprint": problem.data.fingerprint},
        **describe_machine(),
    }


def write_reports(found: dict[str, Any], workdir: str) -> None:
    """Writes `report.json`, `report.md` and `report.html`.

    Args:
        found: the report.
        workdir: folder.
    """
    files = {
        "report.json": json.dumps(found, indent=2) + "\n",
        "report.md": report.as_markdown(found),
        "report.html": report.page(found),
    }
    write(workdir, files)
