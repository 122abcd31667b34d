"""Equal losses on any devices: `python -m experiments.parity --workdir=DIR`.

Trains a small network on the digits, densely and by every method that acts in training, on 1, 2 and 8 fake devices
under `jit`, `shard_map` and `pmap`, and in two processes of four devices each. Prints the largest difference of the
losses to those of one device under `jit`, and writes `parity.json` and `parity.md`. A run that was stopped keeps the
losses of its own process in `alone.json`.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from compressjax import recipe
from experiments import app, cluster, hosts, jobs, limits
from experiments.parallel import WAYS
from experiments.problem import Problem, make_problem
from experiments.stages import build, makers
from experiments.stages.facts import traced
from experiments.stages.trained import METHODS
from experiments.stages.training import DEFAULTS, count_steps, fit
from experiments.view import make_console

_STEPS = flags.DEFINE_integer("steps", 100, "Training steps of every run.")
_METHODS = flags.DEFINE_list("methods", [], "Names of methods; all if empty.")
_BOUND = flags.DEFINE_float("bound", 1e-5, "Largest difference of losses.")
COUNTS = (1, 2, 8)
MODEL_AXIS = ("jit", "shard_map")  # pmap has one axis
DEVICES, PROCESSES = 8, 2
Column = tuple[str, int, str]  # way, devices, mesh
Losses = dict[str, dict[str, list[float]]]  # by column and method
CHUNK, BATCH, WIDTHS = 10, 64, (16,)


def columns(processes: int) -> list[Column]:
    """Ways, devices and meshes that one process compares, or that several do."""
    if processes > 1:
        return [(way, 0, "") for way in WAYS]
    plain = [(way, count, "") for way in WAYS for count in COUNTS]
    return plain + [(way, 8, "data:4,model:2") for way in MODEL_AXIS]


def title(column: Column, processes: int) -> str:
    """Head of a column: `shard_map 8`, `jit 4 x 2`, `pmap 2 processes`."""
    way, count, mesh = column
    if processes > 1:
        return f"{way} {processes} processes"
    return f"{way} 4 x 2" if mesh else f"{way} {count}"


def losses(problem: Problem, name: str, steps: int, before: Problem | None = None) -> list[float]:
    """Losses of a training run, one a chunk of steps.

    Args:
        problem: Network, data and devices.
        name: Key of `METHODS`.
        steps: Length of the run.
        before: The same on other devices, which compute the first half; None for none.

    Returns:
        The losses.
    """
    with tempfile.TemporaryDirectory() as folder:
        if before is not None:
            halfway(stages_of(before, name, steps), hosts.store(folder), problem.data.fingerprint)
        events = recipe.run(stages_of(problem, name, steps), hosts.store(folder), problem.data.fingerprint)
        *_, last = (event for event in events if isinstance(event, recipe.Finished))
    return [record["loss"] for record in last.history]


def stages_of(problem: Problem, name: str, steps: int) -> list[recipe.Stage]:
    """The training run of a method from the initial parameters, whose result is not looked at."""
    (method, settings), count = METHODS[name], len(problem.data.train_labels)
    train = {"batch": BATCH, "chunk": CHUNK, "epochs": steps / (count // BATCH)}
    if method == "distill":  # a teacher comes first
        stages: tuple[Any, ...] = (
            ("train", {**train, "epochs": CHUNK / (count // BATCH)}),
            (method, {**settings, **train}),
        )
        model = {"name": "mlp", "settings": {"widths": WIDTHS}}
        *first, last = build(problem, {"stages": stages, "model": model, "seed": problem.seed})
        return [*first, last._replace(finish=_nothing)]
    own = train if method == "train" else {**settings, "train": train}
    planned = recipe.plan(
        [(method, {**own, "label": "method"})],
        jax.eval_shape(problem.initial_params),
        train=DEFAULTS,
        steps=lambda settings: count_steps(settings, count),
        given=makers(problem),
        seen=functools.partial(traced, problem),
    )
    return [fit(problem, planned[0])._replace(finish=_nothing)]


def _nothing(context: Any, state: Any) -> recipe.Stored:
    return recipe.Stored({}, {})


def halfway(stages: list[recipe.Stage], store: recipe.Store, data: str) -> None:
    """Runs stages until half of the last one is on disk."""
    asked: list[bool] = []
    for event in recipe.run(stages, store, data, stop=asked.__len__):
        if isinstance(event, recipe.Advanced) and event.stage.name == stages[-1].name:
            asked += [True] if event.step >= event.stage.steps // 2 - CHUNK else []


def measured(names: Sequence[str], steps: int, data_cache: str) -> Losses:
    """Losses by column and method, of this process and those that it met."""
    processes = jax.process_count()
    config = {
        "data": {"name": "digits", "path": ""},
        "model": {"name": "mlp", "settings": {"widths": WIDTHS}},
        "seed": 0,
    }
    found: Losses = {}
    for column in columns(processes):
        way, count, mesh = column
        problem = make_problem(config, data_cache, app.make_way(count, mesh, way).mesh, way)
        found[title(column, processes)] = {name: losses(problem, name, steps) for name in names}
    if processes == 1:
        eight, two = (make_problem(config, data_cache, app.make_mesh(count)) for count in (8, 2))
        found["jit 8, then 2"] = {name: losses(two, name, steps, eight) for name in names}
    return found


def listed(names: Sequence[str]) -> str:
    """Names as the flag reads them back: those with commas in quotes.

    Example:
        >>> listed(["dense", "activations, lsq"])
        'dense,"activations, lsq"'
    """
    return flags.CsvListSerializer(",").serialize(list(names))


def kept(names: Sequence[str], steps: int, folder: str, data_cache: str) -> Losses:
    """As `measured`, of this process; what an earlier run of the same methods and steps has written is read."""
    path, asked = os.path.join(folder, "alone.json"), {"methods": list(names), "steps": steps}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            held = json.load(file)
        if held["asked"] == asked:
            return held["losses"]
    found = measured(names, steps, data_cache)
    app.write(folder, {"alone.json": json.dumps({"asked": asked, "losses": found})})
    return found


def elsewhere(names: Sequence[str], steps: int, folder: str, data_cache: str) -> Losses:
    """As `measured`, by processes of four devices each."""
    address = jobs.free_address()
    own = [f"--steps={steps}", f"--methods={listed(names)}", f"--workdir={folder}", f"--data_cache={data_cache}"]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "experiments.parity", *own,
             f"--coordinator={address}", f"--processes={PROCESSES}", f"--process={k}"],
            stdout=subprocess.DEVNULL,
        )
        for k in range(PROCESSES)
    ]  # fmt: skip
    if max(child.wait() for child in children):
        raise ValueError("one of the two processes failed; see its message above")
    with open(os.path.join(folder, "processes.json"), encoding="utf-8") as file:
        return json.load(file)


def differences(found: Losses) -> dict[str, dict[str, float]]:
    """The largest difference of every column and method to the first column."""
    base = next(iter(found.values()))
    return {
        column: {name: float(np.max(np.abs(np.subtract(rows[name], base[name])))) for name in rows}
        for column, rows in found.items()
    }


def table(found: Losses) -> str:
    """The differences as a Markdown table, with the last loss beside them."""
    far, base = differences(found), next(iter(found.values()))
    heads = list(far)[1:]
    lines = [f"| method | last loss | {' | '.join(heads)} |", "|---|---:|" + "---:|" * len(heads)]
    for name in base:
        lines.append(f"| {name} | {base[name][-1]:.4f} | {' | '.join(f'{far[head][name]:.1e}' for head in heads)} |")
    return "\n".join(lines) + "\n"


def apart(found: Losses, bound: float) -> list[str]:
    """Methods and columns beyond a bound, worst first."""
    far = [
        (value, f"{name} under {column}") for column, rows in differences(found).items() for name, value in rows.items()
    ]
    return [f"{text} ({value:.1e})" for value, text in sorted(far, reverse=True) if value > bound]


def chosen(names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """The methods that a flag names; raises `ValueError` for one that is not in the table."""
    for name in names:
        if name not in known:
            raise ValueError(f"--methods={','.join(names)}: there is no {name!r}; choose from {', '.join(known)}")
    return list(names or known)


def fake_devices(count: int) -> None:
    """Lets JAX make this many devices of the processor; before it is used."""
    words = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join(word for word in words if "host_platform_device_count" not in word)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", count)


def main() -> None:
    """Measures, prints the table, and fails if a difference is beyond the bound."""
    folder, names, steps = app.workdir(), chosen(_METHODS.value, METHODS), _STEPS.value
    limits.check({"steps": steps}, {"steps": limits.COUNT}, "--")
    os.makedirs(folder, exist_ok=True)
    fake_devices(DEVICES // PROCESSES if cluster.asked() else DEVICES)
    if cluster.asked():
        cluster.join()
        found = measured(names, steps, app.data_cache())
        if hosts.first():
            app.write(folder, {"processes.json": json.dumps(found)})
        return
    found = kept(names, steps, folder, app.data_cache())
    found |= elsewhere(names, steps, folder, app.data_cache())
    text = table(found)
    app.write(folder, {"parity.json": json.dumps(found, indent=1) + "\n", "parity.md": text})
    make_console().print(text)
    if far := apart(found, _BOUND.value):
        raise ValueError(f"{len(far)} runs are beyond --bound={_BOUND.value}: {'; '.join(far[:8])}")


if __name__ == "__main__":
    app.simple(main)
