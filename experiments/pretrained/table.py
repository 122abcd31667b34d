"""Every network through every method: time, bytes, fidelity, and which leaves were taken."""

import functools
import importlib
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import compressjax as cj
from compressjax import artifact, core, quant, recipe
from compressjax.core import Compression
from compressjax.core._fit import compress_and_fit
from experiments import app
from experiments.pretrained.model import Model
from experiments.view import make_console

MODELS = ("minilm", "efficientnet")


def tabulate(launch: app.Launch) -> None:
    """Runs all methods on all networks and prints the table.

    Args:
        launch: Config and folders; see `configs/pretrained.py` for the fields.
    """
    config, console = launch.config, make_console()
    methods = {name: recipe.make(spec, where=f"config.methods: {name}") for name, spec, *_ in config["methods"]}
    more = {name: made_more(name, dict(*rest)) for name, _, *rest in config["methods"]}
    models = {name: load(name, config) for name in config["models"]}
    os.makedirs(launch.workdir, exist_ok=True)
    specs = {name: json.dumps(entry) for name, *entry in config["methods"]}
    done = earlier(launch.workdir, config, specs)
    found: dict[str, Any] = {**app.describe_machine(), "command": app.command(), "settings": settings_of(config),
                             "models": {}, "rows": []}  # fmt: skip
    for name, model in models.items():
        run = jax.jit(model.fn)
        dense = model.outputs(run, model.params)
        with tempfile.TemporaryDirectory() as folder:
            size = stored(model.params, os.path.join(folder, "dense.cjx"))
        facts = {"dense_bytes": size, "float32_bytes": plain(model.params), **model.compare(dense, dense)}
        found["models"][name] = facts
        for label, method in methods.items():
            if config["cold"]:
                jax.clear_caches()  # so that every row pays for its own compilation
            new = done.get((name, label)) or row(model, method, dense, **more[label])
            found["rows"].append({"model": name, "method": label, "spec": specs[label], **new})
            console.print(f"{name}, {label}: {found['rows'][-1]['cpu_seconds']:.1f} CPU s", markup=False)
            files = {"pretrained.json": json.dumps(found, indent=2) + "\n", "table.md": as_text(found, config)}
            app.write(launch.workdir, files)
    console.print(as_text(found, config), markup=False)
    console.print(f"written to {launch.workdir}: {', '.join(files)}", markup=False)


def made_more(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Further arguments of `row`: `clip` as it is, `tables` as a method."""
    if unknown := sorted(set(given) - {"clip", "tables"}):
        raise ValueError(f"config.methods: {name}: {unknown[0]!r} does not exist; there are clip and tables")
    where = f"config.methods: {name}: tables"
    return {key: recipe.make(value, where=where) if key == "tables" else value for key, value in given.items()}


def settings_of(config: Mapping[str, Any]) -> str:
    """What all rows depend on, as text."""
    return json.dumps({"models": config["models"], "seed": config["seed"]}, sort_keys=True)


def earlier(workdir: str, config: Mapping[str, Any], specs: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Rows of an earlier run in the folder, with the same networks and methods: a row may take minutes.

    Args:
        workdir: Where `pretrained.json` may lie.
        config: With `models` and `seed`.
        specs: `{method: its settings as text}`.

    Returns:
        `{(network, method): row}`; empty where there is no file, or it is of other networks.
    """
    try:
        with open(os.path.join(workdir, "pretrained.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    same = found.get("settings") == settings_of(config)
    return {(r["model"], r["method"]): r for r in found["rows"] if same and r.get("spec") == specs.get(r["method"])}


def load(name: str, config: Mapping[str, Any]) -> Model:
    """A network of the config.

    Args:
        name: A file of this folder.
        config: With `models` and `seed`.

    Returns:
        The network from its files, or a tiny one of random weights.

    Raises:
        ValueError: If there is no such network, or its files are missing.
    """
    if name not in MODELS:
        raise ValueError(f"config.models: {name!r} does not exist; there are {', '.join(MODELS)}")
    source, settings = importlib.import_module(f"experiments.pretrained.{name}"), config["models"][name]
    if settings["tiny"]:
        return source.tiny({"seed": config["seed"], **settings, **settings["tiny"]})
    return source.load(settings)


def row(
    model: Model, method: Compression, dense: np.ndarray, clip: Any = None, tables: Compression | None = None
) -> dict[str, Any]:
    """One method on one network.

    The time includes statistics or the trace for the layouts, compilation, and compression; not the file. The network
    is then read from its file and runs on nodes.

    Args:
        model: The network.
        method: The compression, without a selector.
        dense: Outputs of the dense network on the evaluation batch.
        clip: How `quant.clip_activations` lowers the ranges of activations; None takes them as observed.
        tables: The compression of tables that are read by row, after all else; None leaves them dense.

    Returns:
        Columns of the table by name.
    """
    with Clock() as compressing:
        if method.needs:
            given = {"stats": statistics(model, clip)}
        else:
            given = {"layout": cj.layouts(model.fn)(model.params, *model.calibration[0])}
        options = {"stats": None, "layout": None, "unfit": "skip", "on_unchanged": "raise", "warn": False, **given}
        tree, fit = compress_and_fit(model.params, method, **options)
        if tables is not None and not model.tables:
            raise ValueError("config.methods: tables: this network reads no weights by row; leave tables out")
        if tables is not None:
            tree = cj.compress(tree, {model.tables: tables}, layout="[out, in]")
        jax.block_until_ready(tree)
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "model.cjx")
        with Clock() as writing:
            size = stored(tree, place)
        with Clock() as reading:
            read = artifact.load(place).tree
    with Clock() as running:
        outputs = model.outputs(jax.jit(cj.lift(model.fn)), read)
    clocks = {"compress": compressing, "write": writing, "read": reading, "run": running}
    return {
        "seconds": compressing.wall, "cpu_seconds": compressing.cpu, "bytes": size,
        "ratio": plain(model.params) / size, **model.compare(dense, outputs), **leaves(method, tree, fit, given),
        "clocks": {name: {"wall": clock.wall, "cpu": clock.cpu} for name, clock in clocks.items()},
    }  # fmt: skip


def statistics(model: Model, clip: Any = None) -> dict[str, Any]:
    """Statistics of the inputs of all weights, over all batches of the calibration; clipped if `clip` says how."""
    watched, total = jax.jit(cj.observe(model.fn, histogram=clip is not None)), None
    for batch in model.calibration:
        _, new = watched(model.params, *batch)
        total = new if total is None else cj.interpret.merge(total, new)
    if total is None:
        raise ValueError("the network has no batch to calibrate on; config.models.*.calibration must be at least 1")
    return total if clip is None else quant.clip_activations(total, clip)


class Clock:
    """Wall and processor seconds of a block."""

    def __enter__(self) -> "Clock":
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *error: Any) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def stored(tree: Any, place: str) -> int:
    """The length of a tree's file."""
    artifact.save(place, tree)
    return os.path.getsize(place)


def plain(params: Mapping[str, jax.Array]) -> int:
    """Bytes of all arrays."""
    return sum(x.size * x.dtype.itemsize for x in params.values())


def leaves(method: Compression, tree: Any, fit: core.Fit, given: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves that became nodes, and reasons for those that did not.

    Args:
        method: The compression.
        tree: The compressed network.
        fit: What the compression took and left out.
        given: Statistics or layouts.

    Returns:
        `taken` and `left`, numbers; `reasons`, leaves by reason.
    """
    multiplied = set(next(iter(given.values())))
    taken = {path for path, leaf in tree.items() if core.is_node(leaf)}
    reasons = defaultdict(list)
    for path in sorted(multiplied & set(tree) - taken):
        reason = fit.left.get(path, f"{method.name} would not make it smaller")
        reasons[reason.partition(":")[0]].append(path)  # without the numbers of each leaf
    others = len(set(tree) - multiplied)
    return {"taken": len(taken), "left": sum(map(len, reasons.values())), "others": others, "reasons": dict(reasons)}


def as_text(found: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The table in Markdown, with reasons and missed targets below.

    Args:
        found: The report.
        config: With `seconds`.

    Returns:
        The text.
    """
    head = ("network", "method", "s", "CPU s", "MB", "ratio", "fidelity", "taken", "left out")
    lines = [" | ".join(head), "---|---|---:|---:|---:|---:|---|---:|---:"]
    for name, facts in found["models"].items():
        ratio = facts["float32_bytes"] / facts["dense_bytes"]
        lines.append(f"{name} | dense | | | {facts['dense_bytes'] / 1e6:.2f} | {ratio:.2f}x | {facts['fidelity']} | | ")
        lines += [_line(row) for row in found["rows"] if row["model"] == name]
    text = "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)
    late = [f"{r['model']}, {r['method']}" for r in found["rows"] if r["seconds"] > config["seconds"]]
    bar = f"over {config['seconds']:g} s: {'; '.join(late)}" if late else f"every row below {config['seconds']:g} s"
    return "\n\n".join([text, *functools.reduce(list.__add__, map(_reasons, found["rows"]), []), bar]) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    times = f"{row['seconds']:.1f} | {row['cpu_seconds']:.1f}"
    size = f"{row['bytes'] / 1e6:.2f} | {row['ratio']:.2f}x"
    return f"{row['model']} | {row['method']} | {times} | {size} | {row['fidelity']} | {row['taken']} | {row['left']}"


def _reasons(row: Mapping[str, Any]) -> list[str]:
    where = f"{row['model']}, {row['method']}"
    return [f"{where}: {_some(paths)}: {reason}" for reason, paths in row["reasons"].items()]


def _some(paths: Sequence[str] | Iterable[str]) -> str:
    first, *rest = paths
    return f"{first} and {len(rest)} more" if rest else first
