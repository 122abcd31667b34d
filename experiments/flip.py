"""Proof that damage is found: `python -m experiments.flip --workdir=DIR --flips=500`.

Runs stages once and keeps two sets of checkpoints: those of the finished run, and those of a run that was stopped
inside its last training. Then, `--flips` times, flips one random bit of a copy, runs the stages on it, and checks that
the damaged checkpoint was refused by name and that the final file is the same, byte for byte. The stages are small ones
of its own, or those of a `--config`, which take seconds a flip.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from compressjax import artifact, core, prune, quant, recipe
from compressjax.recipe import Stored
from experiments import app
from experiments.problem import make_problem
from experiments.stages import build
from experiments.view import make_console

SHOWN_EVERY = 50

_COUNT = flags.DEFINE_integer("flips", 500, "How many bits are flipped, one a run.")
_SEED = flags.DEFINE_integer("flip_seed", 0, "Seed of the bits.")


class Flipped(NamedTuple):
    """A run on checkpoints of which one bit was flipped.

    Attributes:
        name: The damaged checkpoint.
        place: The damaged file.
        refused: Checkpoints that the run refused.
        tree: The tree after the last stage.
    """

    name: str
    place: Path
    refused: list[str]
    tree: Any


def prove() -> None:
    """Runs the proof; earlier checkpoints of it are deleted first.

    Raises:
        ValueError: If a flipped bit went unnoticed or changed the file.
    """
    stages, data, folder = small_stages(), "none", app.workdir()
    if app.has_config():
        launch = app.launched()
        problem = make_problem(launch.config, launch.data_cache, launch.mesh)
        stages, data = build(problem, launch.config), problem.data.fingerprint
    for name in ("whole", "stopped"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    # What a run computes again is the same program each time.
    jax.config.update("jax_compilation_cache_dir", os.path.join(folder, "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    kept = keep(stages, data, Path(folder))
    console, draw = make_console(), random.Random(_SEED.value)
    expected = file_of(last_tree(stages, recipe.Store(str(kept[0])), data)[0])
    for i in range(_COUNT.value):
        found = flip_and_run(stages, draw.choice(kept), data, draw)
        if found.refused != [found.name]:
            raise ValueError(f"flip {i} in {found.place} of {found.name}: refused were {found.refused}")
        if file_of(found.tree) != expected:
            raise ValueError(f"flip {i} in {found.place} of {found.name} was refused, but the final file differs")
        if (i + 1) % SHOWN_EVERY == 0:
            jax.clear_caches()
            console.print(f"{i + 1} of {_COUNT.value} bits flipped: all refused, all files equal")
    console.print(f"flipped {_COUNT.value} bits, one a run: all refused by name, all final files equal to the byte")


def small_stages() -> list[recipe.Stage]:
    """Two trainings of a chaotic walk, in which a wrong bit shows, and a method that stores the result in nodes."""
    return [_walk("one", 2.5), _walk("two", 3.5), recipe.Stage("encode", {}, _encode, lambda _, tree: Stored(tree, {}))]


def _walk(name: str, scale: float) -> recipe.Stage:
    def start(previous: recipe.Previous) -> tuple[Any, Any]:
        before = list(previous.values())[-1].tree["w"] if previous else np.linspace(0, 1, 64, dtype=np.float32)
        return None, {"w": jnp.asarray(before).reshape(8, 8), "seen": jnp.int32(0)}

    def advance(context: Any, state: Any, first: int, count: int) -> tuple[Any, dict[str, float]]:
        for _ in range(count):
            state = {"w": jnp.sin(state["w"] * scale) + 0.1, "seen": state["seen"] + 1}
        return state, {"w": float(state["w"][0, 0])}

    def finish(context: Any, state: Any) -> Stored:
        return Stored({"w": state["w"]}, {"seen": int(state["seen"])})

    return recipe.Stage(name, {"scale": scale}, start, finish, advance, steps=12, chunk=4, save_every=4)


def _encode(previous: recipe.Previous) -> tuple[Any, Any]:
    tree = list(previous.values())[-1].tree
    tree = core.compress(tree, {"w": prune.magnitude(sparsity=0.5)})
    return None, core.compress(tree, {"w": quant.rtn(bits=4)})


def keep(stages: Sequence[recipe.Stage], data: str, folder: Path) -> list[Path]:
    """Checkpoints of a whole run, and of one stopped after the first chunk of the last stage with steps.

    Args:
        stages: In order; one at least has more than one chunk of steps.
        data: Fingerprint of the data.
        folder: Where.

    Returns:
        Two folders.
    """
    whole, stopped = folder / "whole", folder / "stopped"
    for _ in recipe.run(stages, recipe.Store(str(whole)), data):
        pass
    last = [stage.name for stage in stages if len(stage.chunks()) > 1][-1]
    reached: list[str] = []
    for event in recipe.run(stages, recipe.Store(str(stopped)), data, stop=lambda: reached[-1:] == [last]):
        if isinstance(event, recipe.Began):
            reached.append("" if event.stage.name == last else event.stage.name)
        elif isinstance(event, recipe.Advanced) and event.stage.name == last:
            reached.append(last)
    for place in sorted(stopped.glob("*/step-*"))[:-1]:  # a run that goes on reads the last one alone
        shutil.rmtree(place)
    return [whole, stopped]


def flip_and_run(stages: Sequence[recipe.Stage], kept: Path, data: str, draw: random.Random) -> Flipped:
    """Flips a bit of a copy of checkpoints and runs the stages on the copy.

    Args:
        stages: In order.
        kept: Folder of checkpoints, which stays as it is.
        data: Fingerprint of the data.
        draw: Of the bit: any file as likely as any other, or any bit of all files.

    Returns:
        What happened.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "cache"
        shutil.copytree(kept, root)
        files = sorted(path for path in root.glob("*/*/**/*") if path.is_file() and path.stat().st_size)
        weights = None if draw.random() < 0.5 else [path.stat().st_size for path in files]
        place = draw.choices(files, weights)[0]
        data_there = bytearray(place.read_bytes())
        bit = draw.randrange(8 * len(data_there))
        data_there[bit // 8] ^= 1 << bit % 8
        place.write_bytes(data_there)
        tree, refused = last_tree(stages, recipe.Store(str(root)), data)
        inside = place.relative_to(root)
        return Flipped("/".join(inside.parts[:2]), inside, refused, tree)


def last_tree(stages: Sequence[recipe.Stage], store: recipe.Store, data: str) -> tuple[Any, list[str]]:
    """The tree after the last stage, and the checkpoints that were refused on the way."""
    tree, refused = None, []
    for event in recipe.run(stages, store, data):
        if isinstance(event, recipe.Refused):
            refused.append(event.name)
        elif isinstance(event, recipe.Finished):
            tree = event.result.tree
    return tree, refused


def file_of(tree: Any) -> bytes:
    """The bytes of the artifact of a tree."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.cjx"
        artifact.save(place, tree)
        return place.read_bytes()


if __name__ == "__main__":
    app.simple(prove)
