"""The main job: stages in order, the file, its evaluation in a new process, and the report."""

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
from absl import flags
from rich.console import Console

from compressjax import artifact, recipe
from experiments import hosts, report
from experiments.app import BAD_INPUT, Launch, claim, command, describe_machine, write
from experiments.logs import Log
from experiments.problem import Problem, make_problem
from experiments.stages import build, execute
from experiments.view import View
from experiments.writers import Writers

_IID = flags.DEFINE_boolean("iid", True, "Whether rows are independent draws from one distribution, as bounds need.")
_TRIED = flags.DEFINE_integer("tried", 1, "How many settings were compared on the training rows; the bound pays.")


def compress(launch: Launch) -> None:
    """Runs the main job; of several processes, the first one alone writes.

    Args:
        launch: config, folders and devices.
    """
    problem = make_problem(launch.config, launch.data_cache, launch.mesh, launch.parallel)
    stages, view = build(problem, launch.config), View(None if hosts.first() else Console(file=io.StringIO()))
    # After all checks, so that a wrong command does not claim the folder.
    claim(launch)
    with contextlib.ExitStack() as opened:
        writers = opened.enter_context(Writers(launch.workdir, launch.trackers)) if hosts.first() else None
        log = Log(launch.workdir) if hosts.several() else None
        facts, results = execute(stages, launch.cache, problem, view, writers, log=log, profile=launch.profile)
    if not hosts.first():
        return
    model, last = os.path.join(launch.workdir, "model.cjx"), stages[-1].name
    about_file = metadata(problem, launch.config, stages, facts[last]["network"])
    manifest = artifact.save(model, results[last].tree["params"], metadata=about_file)
    view.console.print(f"saved {model}; a fresh process reads it and evaluates ...")
    first = stages[0]
    key = recipe.chain_keys(problem.data.fingerprint, [(first.name, first.settings)])[0]
    reloaded, predictions = reload(launch, model, f"{launch.cache}::{first.name}-{key[:16]}/final")
    methods = {stage.name: stage.settings["name"] for stage in stages}
    labels = problem.data.test_labels
    terms = report.Terms(_IID.value, _TRIED.value)
    bound = report.certificate(manifest.ledger.file_bytes, reloaded["training"], problem.data.fingerprint,
                               problem.data.classes, terms)  # fmt: skip
    further = {"certificate": bound, **about(problem, launch)}
    found = report.build(facts, methods, results, manifest, reloaded, predictions, labels, further)
    write_reports(found, launch.workdir)
    report.show(found, view.console)
    view.console.print(f"wrote model.cjx, report.json, report.md and report.html to {launch.workdir}")


def metadata(
    problem: Problem, config: dict[str, Any], stages: list[recipe.Stage], network: dict[str, Any]
) -> dict[str, Any]:
    """Metadata of the file: enough to rebuild the function and find the data."""
    named = {stage.name: stage.settings["name"] for stage in stages}
    return {
        "recipe": {"stages": named, "config": recipe.digest(config)[:16]},
        "seed": config["seed"],
        "model": network,
        "data": {"name": problem.data.name, "fingerprint": problem.data.fingerprint},
    }


def reload(launch: Launch, model: str, dense: str) -> tuple[dict[str, Any], np.ndarray]:
    """Evaluates a file in a separate process.

    Args:
        launch: Launch of this run.
        model: The file.
        dense: Checkpoint of the dense parameters, `root::name`.

    Returns:
        The results and predictions of the process.

    Raises:
        ValueError: If the process refuses what it is given, such as a full disk.
        RuntimeError: If it fails otherwise.
    """
    output = os.path.join(launch.workdir, "reload")
    flags = [
        f"--artifact={model}",
        f"--output={output}",
        f"--data_path={launch.config['data']['path']}",
        f"--data_cache={launch.data_cache}",
        f"--dense={dense}",
    ]
    # Use the same package, whatever the current folder is.
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "experiments.reload", *flags],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    if done.returncode == BAD_INPUT:
        raise ValueError(f"the fresh process that reads {model}: {done.stderr.strip().removeprefix('error: ')}")
    if done.returncode:
        raise RuntimeError(f"the fresh process that reads {model} failed:\n{done.stderr[-4000:]}")
    with open(f"{output}.json", encoding="utf-8") as file:
        return json.load(file), np.load(f"{output}.npy", allow_pickle=False)


def about(problem: Problem, launch: Launch) -> dict[str, Any]:
    """Fields of the report that describe how it was made."""
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
