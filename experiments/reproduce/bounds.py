"""Bounds from the length of a file: networks trained in a random subspace, with a learned codebook."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax import artifact, theory
from experiments import app, limits
from experiments.problem import Problem, make_problem
from experiments.reproduce.coordinates import Coordinates
from experiments.reproduce.edges import with_edges
from experiments.reproduce.table import Claim

LIMITS = {
    "blur": limits.NOT_NEGATIVE, "charge": limits.NOT_NEGATIVE, "epochs": limits.POSITIVE,
    "rounding_epochs": limits.POSITIVE, "learning_rate": limits.POSITIVE, "rounding_rate": limits.POSITIVE,
    "tried": limits.COUNT, "cell": limits.Limit(0, 1024, whole=True),
}  # fmt: skip


class Shared(NamedTuple):
    """Network and data, the folder of the files, and by seed and dimension the coordinates before rounding."""

    problem: Problem
    folder: str
    trained: dict[tuple[int, int], jax.Array]


def settings(config: Mapping[str, Any]) -> list[str]:
    """Dimensions alone, for the intrinsic dimension, then dimensions with levels of the codebook."""
    return [*(f"d {d}" for d in config["sweep"]), *(f"d {d}, {k} levels" for d, k in config["cells"])]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    batch = limits.Limit(1, len(problem.data.train_labels), whole=True)
    limits.check(config, {**LIMITS, "batch": batch}, "--config.")
    if config["cell"]:
        side = problem.data.train_images.shape[1]
        if side % config["cell"]:
            raise ValueError(f"--config.cell={config['cell']} must divide the side of the images, {side}; 0 for pixels")
        problem = with_edges(problem, config["cell"])
    weights = sum(x.size for x in jax.tree.leaves(jax.eval_shape(problem.initial_params)))
    ranges = {"d": limits.Limit(1, weights, whole=True), "levels": limits.Limit(2, 256, whole=True)}
    for dimension, levels in (*config["cells"], *((d, 2) for d in config["sweep"])):
        limits.check({"d": dimension, "levels": levels}, ranges, "--config.cells: ")
    folder = os.path.join(launch.workdir, "files")
    return Shared(problem, folder, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains in the subspace, rounds, writes both files, reads them, and certifies what was read."""
    began, problem = time.process_time(), shared.problem._replace(seed=seed)
    dimension, _, levels = name.removeprefix("d ").removesuffix(" levels").partition(", ")
    model = Coordinates(problem, config, int(dimension))
    values = shared.trained.get((seed, model.dimension))
    if values is None:
        values = shared.trained[seed, model.dimension] = model.train()
    data = problem.data
    if not levels:
        found = {"error": 100 * model.wrong(values, data.test_images, data.test_labels).mean()}
        seen = model.wrong(values, data.train_images, data.train_labels)
        return {**found, "training error, %": 100 * seen.mean(), "CPU minutes": (time.process_time() - began) / 60}
    node = model.rounded(values, int(levels))
    os.makedirs(shared.folder, exist_ok=True)
    place = os.path.join(shared.folder, f"d-{dimension}-{levels}-levels-seed-{seed}")
    sizes = {
        "file": artifact.save(f"{place}.cjx", {"v": node}, metadata={"seed": seed}).ledger.file_bytes,
        "message": theory.write_message(f"{place}.msg", node, seed),
    }
    return {**_certified(shared, config, place, sizes), "CPU minutes": (time.process_time() - began) / 60}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]


def _certified(
    shared: Shared, config: Mapping[str, Any], place: str, sizes: Mapping[str, int]
) -> dict[str, float]:  # fmt: skip
    """Figures of the model that the files hold, from nothing but the files and the config."""
    held, loaded = theory.read_message(f"{place}.msg"), artifact.load(f"{place}.cjx")
    seed, node = loaded.manifest.metadata["seed"], loaded.tree["v"]
    if seed != held.seed or not np.array_equal(node.materialize(), held.coordinates.materialize()):
        raise ValueError(f"{place}.cjx and {place}.msg hold different models; remove them and run again")
    model, data = Coordinates(shared.problem._replace(seed=seed), config, node.size), shared.problem.data
    wrong = model.wrong(node, data.train_images, data.train_labels)
    found = {"error": 100 * model.wrong(node, data.test_images, data.test_labels).mean()}
    found["training error, %"] = 100 * wrong.mean()
    plain = theory.description_length(f"{place}.cjx", checksums=False).code / 8
    for word, size in {**sizes, "file without checksums": plain}.items():
        length = theory.description_length(8 * size, tried=config["tried"])
        rows = data.fingerprint
        proof = theory.certify(length, wrong, iid=True, trained_on=rows, measured_on=rows)
        found |= {f"{word} bytes": size, f"bound of the {word}, %": 100 * proof.bound}
    return found
