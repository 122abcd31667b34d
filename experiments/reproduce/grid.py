"""A grid of cells (setting times seed), each run once and stored; then the table."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from compressjax import recipe
from experiments import app
from experiments.reproduce import (
    assistants,
    bits,
    bits_back,
    bounds,
    data_free,
    data_to_model,
    distill_bytes,
    distill_losses,
    distill_minilm,
    exchanged,
    factorized,
    federated,
    few_labels,
    generation,
    hinton,
    lottery,
    narrow,
    prequential,
    pruned,
    quantized,
    recommended,
    resnet_pair,
    selected,
    smallest,
    splitting,
    teacher_store,
    transfer,
)
from experiments.reproduce.table import Claim, render
from experiments.view import make_console


class Cell(NamedTuple):
    """One training run: the name of its setting, as in the table (`"sparsity 0.9"`), and its seed."""

    name: str
    seed: int


class Study(Protocol):
    """Interface of a module of this package; `pictures`, from results to PNG files by name, may be there too."""

    def settings(self, config: Mapping[str, Any]) -> list[str]:
        """Names of the grid's settings, in the order of the table; `dense`, if any, comes first."""

    def prepare(self, launch: app.Launch) -> Any:
        """Data and network that all cells share."""

    def run(self, shared: Any, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
        """Trains one cell and returns its figures, among them `error`, in percent."""

    def claims(self, config: Mapping[str, Any]) -> list[Claim]:
        """The paper's figures and the targets of the settings."""


STUDIES: dict[str, Study] = {
    "assistants": assistants, "bits": bits, "bits_back": bits_back, "bounds": bounds, "data_free": data_free,
    "data_to_model": data_to_model, "distill_bytes": distill_bytes, "distill_losses": distill_losses,
    "distill_minilm": distill_minilm, "exchanged": exchanged, "factorized": factorized, "federated": federated,
    "few_labels": few_labels, "generation": generation, "hinton": hinton, "lottery": lottery, "precision": narrow,
    "prequential": prequential, "pruned": pruned, "quantized": quantized, "recommended": recommended,
    "resnet_pair": resnet_pair, "selected": selected, "smallest": smallest, "splitting": splitting,
    "teacher_store": teacher_store, "transfer": transfer,
}  # fmt: skip


def reproduce(launch: app.Launch) -> None:
    """Runs all cells that are not on disk yet, then prints and writes the table.

    Args:
        launch: config, folders and devices; the config has `study`, `seeds`, and the fields of the study.

    Raises:
        ValueError: when the study does not exist, or the folder holds cells of another config.
    """
    config = launch.config
    if config.get("study") not in STUDIES:
        raise ValueError(f"--config.study={config.get('study')!r} does not exist; choose one of {', '.join(STUDIES)}")
    study, console = STUDIES[config["study"]], make_console()
    names = study.settings(config)
    shared = study.prepare(launch)
    app.claim(launch)
    folder = os.path.join(launch.workdir, "cells")
    os.makedirs(folder, exist_ok=True)
    cells = [Cell(name, seed) for name in names for seed in config["seeds"]]
    results: dict[str, dict[int, dict[str, float]]] = {name: {} for name in names}
    spent, done = 0.0, 0
    for i, cell in enumerate(cells):
        place = os.path.join(folder, f"{cell.name.replace(' ', '-').replace('/', '-')}-seed-{cell.seed}.json")
        found = _held(place)
        if found is None:
            if os.path.exists(place):
                console.print(f"refused: {place} is damaged; its cell runs again", markup=False)
            began = time.monotonic()
            found = study.run(shared, config, cell.name, cell.seed)
            spent, done = spent + time.monotonic() - began, done + 1
            recipe.write_file(place, json.dumps({"figures": found, "sha256": recipe.digest(found)}) + "\n")
        results[cell.name][cell.seed] = found
        left = f", {spent / done * (len(cells) - i - 1) / 60:.1f} min left" if done else " (read)"
        console.print(f"{i + 1}/{len(cells)} {cell.name}, seed {cell.seed}: {_say(found)}{left}", markup=False)
    about = app.describe_machine()
    text = render(results, study.claims(config), about)
    numbers = json.dumps({"results": results, **about}, indent=2) + "\n"
    pictures = getattr(study, "pictures", None)
    app.write(launch.workdir, {"table.md": text, "results.json": numbers, **(pictures(results) if pictures else {})})
    console.print(text, markup=False)


def _held(place: str) -> dict[str, float] | None:
    """The figures of a cell that ran before; None if there are none, or they are not those that were written."""
    try:
        with open(place, encoding="utf-8") as file:
            held = json.load(file)
        return held["figures"] if recipe.digest(held["figures"]) == held["sha256"] else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _say(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())
