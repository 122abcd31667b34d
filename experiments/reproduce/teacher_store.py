"""A teacher on disk: bytes a position against the divergence from the teacher."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import distill, recipe
from experiments import app, limits, models, plots
from experiments.reproduce import language, resumed, texts
from experiments.reproduce.table import Claim

MOST = 150.0  # bytes a position


class Shared(NamedTuple):
    """The teacher as a function of its parameters, these, held-out text, and where stores go."""

    fn: Any
    params: Any
    batches: list[jax.Array]
    folder: str


def settings(config: Mapping[str, Any]) -> list[str]:
    """All settings of `write_teacher`, by name."""
    return [name for name, _ in config["stores"]]


def prepare(launch: app.Launch) -> Shared:
    """Trains the teacher on the first part of a text, or reads it; the batches are from the end of the text."""
    config = launch.config
    limits.check(config["training"], resumed.LIMITS, "--config.training.")
    found = texts.words(texts.read(config["text"]), config["vocabulary"])
    length, (count, rows) = config["model"]["length"], config["batches"]
    whole = texts.blocks(found.ids, length)
    if len(whole) <= count * rows:
        raise ValueError(f"--config.batches={count, rows} ask for {count * rows} of {len(whole)} rows; lower them")
    training, held = whole[: -count * rows], whole[-count * rows :]
    model = models.create("gpt", {**config["model"], "vocabulary": len(found.vocabulary)})
    params = language.teacher(recipe.Store(launch.cache), model, training, config["training"], config["text"])
    held = [jnp.asarray(part[:, :-1]) for part in np.split(held, count)]
    return Shared(model.apply, params, held, os.path.join(launch.workdir, "stores"))


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Writes one store; a killed run goes on with its missing batches."""
    del seed
    place = os.path.join(shared.folder, name.replace(" ", "-"))
    fresh, began = not os.path.exists(place), time.process_time()
    store = distill.write_teacher(shared.fn, shared.params, shared.batches, place, **dict(config["stores"])[name])
    spent = time.process_time() - began
    own = sum(file.stat().st_size for file in store.folder.glob("0*.cjx")) / store.positions
    whole = store.bytes_per_position
    found = {"bytes": own, "bytes with background": whole, "millinats": 1000 * store.divergence}
    if own < MOST:
        found[f"positions until {MOST:g} bytes"] = (whole - own) * store.positions / (MOST - own)
    if fresh:  # else a killed run has written a part of it
        found["CPU ms a position"] = 1000 * spent / store.positions
    return found


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Bytes and divergence of the settings that should meet both."""
    found = []
    for name in config["aims"]:
        found.append(Claim(name, "", None, MOST, figure="bytes"))
        found.append(Claim(name, "", None, 10.0, figure="millinats"))
    return found


def pictures(results: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict[str, bytes]:
    """The curves, one for every number of directions."""
    figure = plots.new_figure(7.0, 4.5)
    axes = figure.add_subplot()
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, runs in results.items():
        row = next(iter(runs.values()))
        curves.setdefault(" ".join(name.split()[:2]), []).append((row["bytes"], row["millinats"] / 1000))
    for label, points in curves.items():
        axes.plot(*zip(*sorted(points), strict=True), "o-", label=label)
    axes.axhline(0.01, color="gray", linewidth=0.8)
    axes.axvline(MOST, color="gray", linewidth=0.8)
    axes.set(
        xlabel="bytes a position, without the background", ylabel="nats from the teacher", yscale="log", xscale="log"
    )
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which="both")
    return {"curve.png": plots.as_png(figure)}
