"""The main job: stages in order, then the file, a fresh process that reads it, and the report."""

from typing import Any

from compressjax import recipe
from experiments.app import Launch
from experiments.problem import Problem, make_problem
from experiments.stages.teacher import teacher
from experiments.view import View
from experiments.writers import Writers

STAGES = {"teacher": teacher}


def build(problem: Problem, config: dict[str, Any]) -> list[recipe.Stage]:
    """The stages that a config asks for, in order.

    Args:
        problem: network and data.
        config: a stage is on when the config has its field and that is not `None`.

    Returns:
        The stages.
    """
    shared = {"model": config["model"], "seed": config["seed"]}
    stages = []
    for name, make in STAGES.items():
        if config.get(name) is not None:
            stage = make(problem, config[name])
            stages.append(stage._replace(settings={**shared, **stage.settings}))
    return stages


def compress(launch: Launch) -> None:
    """Runs the main job.

    Args:
        launch: config, folders and devices.
    """
    problem = make_problem(launch.config, launch.data_cache, launch.mesh)
    view = View()
    store = recipe.Store(launch.cache)
    with Writers(launch.workdir) as writers:
        try:
            run_stages(build(problem, launch.config), store, problem, view, writers)
        finally:
            view.close()


def run_stages(
    stages: list[recipe.Stage], store: recipe.Store, problem: Problem, view: View, writers: Writers
) -> dict[str, recipe.Stored]:
    """Runs stages, showing and writing what happens.

    Args:
        stages: in order.
        store: of checkpoints.
        problem: network and data.
        view: for the user.
        writers: for the files.

    Returns:
        The results by stage.
    """
    results = {}
    for event in recipe.run(stages, store, problem.data.fingerprint):
        name = event.stage.name
        if isinstance(event, recipe.Began):
            writers.begin(name, event.history)
        elif isinstance(event, recipe.Advanced):
            writers.add(name, event.step, event.metrics)
        else:
            if event.cached:
                writers.begin(name, event.history)
            writers.end(name, event.stage.steps, event.result.facts)
            results[name] = event.result
        view.show(event)
    return results
