"""Code lengths: of labels, of labels given the features of a layer, and of a layer given an error of its outputs."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import theory
from experiments import app, limits
from experiments.problem import Problem, make_problem, predict
from experiments.reproduce.calibrated import Classifier
from experiments.reproduce.edges import with_edges
from experiments.reproduce.loop import check, data_of, train
from experiments.reproduce.table import Claim

LABELS = {"labels": "edges", "labels, linear": "edges", "labels, of pixels": "pixels", "random labels": "edges"}
PROBES = ("pixels", "layer 1", "layer 2", "layer 2, untrained", "layer 2, random labels")


class Shared(NamedTuple):
    """Network and data, histograms of edges of the training images, and what several cells use.

    Attributes:
        problem: Network and data.
        edges: Histograms of the training images.
        trained: Parameters by seed.
        axes: Second moments of the training images along their principal directions, and these; empty at first.
    """

    problem: Problem
    edges: np.ndarray
    trained: dict[int, Any]
    axes: list[tuple[np.ndarray, np.ndarray]]


def settings(config: Mapping[str, Any]) -> list[str]:
    """Codes of labels, probes of layers, and the steps to which a layer is rounded."""
    return [*LABELS, *(f"probe of {name}" for name in PROBES), *(f"step {step:g}" for step in config["rounding_steps"])]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    count = len(problem.data.train_labels)
    check(config, count)
    own = {"first": limits.Limit(2, count, whole=True), "batch": limits.COUNT, "epochs": limits.POSITIVE,
           "learning_rate": limits.POSITIVE}  # fmt: skip
    limits.check(config["coder"], own, "--config.coder.")
    for step in config["rounding_steps"]:
        limits.check({"rounding_steps": step}, {"rounding_steps": limits.POSITIVE}, "--config.")
    seen = with_edges(problem, config["cell"])
    return Shared(problem, _flat(seen, seen.data.train_images), {}, [])


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """The length of labels, or the point of a layer."""
    began, problem = time.process_time(), shared.problem._replace(seed=seed)
    if name.startswith("step "):
        if not shared.axes:
            shared.axes.append(_principal(_flat(problem, problem.data.train_images)))
        found = _rounded(_params(shared, config, seed), *shared.axes[0], float(name.removeprefix("step ")))
    elif name in LABELS:
        features = shared.edges if LABELS[name] == "edges" else _flat(problem, problem.data.train_images)
        found = _length(features, problem.data.train_labels, config, name, seed)
    else:
        params = problem.initial_params() if "untrained" in name else _params(shared, config, seed)
        features = _features(problem, params, name.removeprefix("probe of "))
        found = _length(features, problem.data.test_labels, config, f"{name}, linear", seed)
    return {**found, "CPU minutes": (time.process_time() - began) / 60}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]


def ends(first: int, count: int) -> list[int]:
    """Where blocks end: doubling.

    Example:
        >>> ends(100, 450)
        [100, 200, 400, 450]
    """
    found = [first]
    while found[-1] * 2 < count:
        found.append(found[-1] * 2)
    return [*found, count] if found[-1] < count else [count]


def _length(
    features: np.ndarray, labels: np.ndarray, config: Mapping[str, Any], name: str, seed: int
) -> dict[str, float]:
    """Bits of labels in random order, of which the features are known."""
    order = np.random.default_rng(seed).permutation(len(labels))
    told = np.random.default_rng([seed, 1]).permutation(labels) if "random" in name else labels[order]
    coder, classes = config["coder"], int(labels.max()) + 1
    model = Classifier(features, classes, coder, () if "linear" in name else coder["widths"], seed)
    stops = ends(coder["first"], len(labels))
    found = theory.prequential_length(model.fit, order, told, stops, classes, mix=1e-3)
    return {
        "kilobits": found.bits / 1000,
        "% of uniform": 100 * found.bits / found.uniform,
        "compression": found.compression,
        "last block, bits a label": found.blocks[-1] / (stops[-1] - (stops[-2] if len(stops) > 1 else 0)),
    }


def _params(shared: Shared, config: Mapping[str, Any], seed: int) -> Any:
    """The network of a seed, trained on the training images."""
    if seed not in shared.trained:
        problem = shared.problem._replace(seed=seed)
        trained = train(problem.apply, problem.initial_params(), data_of(problem), config, seed=seed)
        shared.trained[seed] = jax.tree.map(np.asarray, trained.params)
    return shared.trained[seed]


def _flat(problem: Problem, images: np.ndarray) -> np.ndarray:
    return np.asarray(problem.standardized(images)).reshape(len(images), -1)


def _features(problem: Problem, params: Any, name: str) -> np.ndarray:
    """What a layer gives for the test images, with a mean square of 1."""
    images = problem.data.test_images
    if name == "pixels":
        return _flat(problem, images)
    depth = int(name.split(",")[0].removeprefix("layer "))

    def layer(params: Any, x: jax.Array) -> jax.Array:
        x = problem.standardized(x).reshape(len(x), -1)
        for i in range(depth):
            x = jax.nn.relu(x @ params[f"Dense_{i}"]["kernel"] + params[f"Dense_{i}"]["bias"])
        return x

    found = predict(layer, params, images)
    return found / np.sqrt(np.square(found).mean())


def _principal(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second moments of rows along their principal directions, and these as columns."""
    rows = jnp.asarray(inputs)
    moments, axes = np.linalg.eigh(np.asarray(rows.T @ rows, np.float64) / len(rows))
    return np.maximum(moments, 0), axes


def _rounded(params: Any, moments: np.ndarray, axes: np.ndarray, step: float) -> dict[str, float]:
    """The first kernel in steps of its deviation: bits a weight, error of its outputs, and what Gaussian weights need.

    Weights are rotated to the principal directions of the inputs, in which errors of outputs add up.
    """
    kernel = np.asarray(params["Dense_0"]["kernel"], np.float64)
    width = step * kernel.std()
    codes = np.round(kernel / width)
    energy, error = (moments @ np.square(axes.T @ x) for x in (kernel, width * codes - kernel))
    variances = moments * np.square(axes.T @ kernel).mean(1)
    bound = theory.gaussian_rate(variances, error.mean()) / len(kernel)
    return {
        "bits a weight": theory.empirical_entropy(codes.astype(np.int64)),
        "error of outputs, %": 100 * error.sum() / energy.sum(),
        "Gaussian weights, bits": bound,
    }
