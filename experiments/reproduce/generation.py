"""How good generated images are: distances from held-out images, copies, labels, and use as training data."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import generate
from experiments import app, limits
from experiments.datasets import drawn_rows
from experiments.plots import as_picture
from experiments.problem import Problem, make_problem
from experiments.reproduce.features import features_of
from experiments.reproduce.loop import Data, check, data_of, train
from experiments.reproduce.samplers import SAMPLERS, Sampler, signed
from experiments.reproduce.table import Claim

REAL = "training images"
FEW = ("few labels", "few labels, GAN samples", "GAN samples")
LIMITS = {"width": limits.COUNT, "latent": limits.COUNT, "steps": limits.COUNT, "learning_rate": limits.POSITIVE}


class Judge(NamedTuple):
    """What samples are compared with.

    Attributes:
        params: Of the classifier.
        features: Of the test images.
        noise: Distance of noise.
    """

    params: Any
    features: np.ndarray
    noise: float


class Shared(NamedTuple):
    """Network and data, by seed the judges, by name and seed the fitted samplers, and the folder of the pictures."""

    problem: Problem
    judges: dict[int, Judge]
    samplers: dict[tuple[str, int], Sampler]
    folder: str


def settings(config: Mapping[str, Any]) -> list[str]:
    """Training images and the samplers, then the classifiers of few labels and of samples."""
    return [REAL, *SAMPLERS, *FEW]


def prepare(launch: app.Launch) -> Shared:
    """Data and classifier; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    images, labels = problem.data.train_images, problem.data.train_labels
    size = limits.Limit(1, len(labels), whole=True)
    check(config, len(labels))
    check({**config, **config["few"]["tuning"]}, len(labels), "--config.few.tuning.")
    compared = limits.Limit(4, len(problem.data.test_labels), whole=True)
    counts = {"components": limits.Limit(1, images[0].size, whole=True), "samples": size, "compared": compared}
    limits.check(config, counts, "--config.")
    limits.check(config["few"], {"labels": size, "samples": limits.COUNT}, "--config.few.")
    for part in ("gan", "vae"):
        limits.check(config[part], {**LIMITS, "batch": size}, f"--config.{part}.")
    return Shared(problem, {}, {}, launch.workdir)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Fits a sampler and judges its images, or trains a classifier on few labels and samples."""
    if name in FEW:
        return {"error": _learned(shared, config, name, seed)}
    problem, judge = shared.problem._replace(seed=seed), _judge(shared, config, seed)
    labels = np.arange(config["samples"]) % problem.data.classes
    began = time.monotonic()
    if name == REAL:
        rows = drawn_rows(seed, config["samples"], len(problem.data.train_labels))
        images, labels = problem.data.train_images[rows], problem.data.train_labels[rows]
    else:
        images = _sampler(shared, config, name, seed).sample(problem.key("samples"), labels)
    minutes = (time.monotonic() - began) / 60
    if name == "GAN" and seed == config["seeds"][0]:
        app.write(shared.folder, _pictures(problem, _sampler(shared, config, name, seed)))
    found = _quality(problem, config, judge, images)
    if name == REAL or shared.samplers[name, seed].labeled:
        logits, _ = features_of(problem.apply, judge.params, images)
        found["right labels, %"] = 100 * float((logits.argmax(-1) == labels).mean())
    return {**found, "minutes": minutes}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]


def _sampler(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> Sampler:
    """A sampler, fitted once a seed."""
    if (name, seed) not in shared.samplers:
        shared.samplers[name, seed] = SAMPLERS[name](shared.problem._replace(seed=seed), config)
    return shared.samplers[name, seed]


def _judge(shared: Shared, config: Mapping[str, Any], seed: int) -> Judge:
    """The classifier of a seed, trained on all labels."""
    if seed not in shared.judges:
        problem = shared.problem._replace(seed=seed)
        params = train(problem.apply, problem.initial_params(), data_of(problem), config, seed=seed).params
        _, features = features_of(problem.apply, params, problem.data.test_images)
        labels = np.zeros(config["samples"], np.int32)
        drawn = _sampler(shared, config, "noise", seed).sample(problem.key("noise"), labels)
        _, other = features_of(problem.apply, params, drawn)
        shared.judges[seed] = Judge(params, features, generate.frechet_distance(features, other))
    return shared.judges[seed]


def _quality(problem: Problem, config: Mapping[str, Any], judge: Judge, images: np.ndarray) -> dict[str, float]:
    """Distances and shares of a set of images."""
    _, features = features_of(problem.apply, judge.params, images)
    distance, few = generate.frechet_distance(judge.features, features), config["compared"]
    covered = generate.precision_recall(judge.features[:few], features[:few])
    seen, new = problem.data.train_images, problem.data.test_images[:few]
    return {
        "distance": distance,
        "noise / distance": judge.noise / distance,
        "precision, %": 100 * covered.precision,
        "recall, %": 100 * covered.recall,
        "memorized, %": 100 * generate.memorized(images[:few], seen, new).share,
    }


def _learned(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> float:
    """Test error of the network after the same number of steps on few labels, on samples, or on both."""
    few, problem = config["few"], shared.problem._replace(seed=seed)
    data = data_of(problem)
    rows = drawn_rows(seed, few["labels"], len(data.train_labels))
    images, labels = [problem.data.train_images[rows]], [problem.data.train_labels[rows]]
    if name != FEW[0]:
        drawn = np.arange(few["samples"], dtype=np.int32) % problem.data.classes
        images.append(_sampler(shared, config, "GAN", seed).sample(problem.key("few"), drawn))
        labels.append(drawn)
    if name == FEW[2]:
        images, labels = images[1:], labels[1:]
    joined = Data(jnp.asarray(np.concatenate(images)), jnp.asarray(np.concatenate(labels)), *data[2:])
    own = {**config, **few["tuning"]}
    return train(problem.apply, problem.initial_params(), joined, own, seed=seed).errors[-1]


def _pictures(problem: Problem, sampler: Sampler) -> dict[str, bytes]:
    """A row of samples a class, and a row a class of points between two samples."""
    classes, columns = problem.data.classes, 10
    labels = np.repeat(np.arange(classes), columns)
    ends = jax.random.normal(problem.key("ends"), (2, classes, sampler.latent))
    path = np.asarray(generate.interpolate(*ends, columns)).swapaxes(0, 1).reshape(-1, sampler.latent)
    sheets = {
        "samples.png": sampler.sample(problem.key("sheet"), labels),
        "interpolation.png": sampler.draw(path, labels),
    }
    return {name: as_picture(generate.sheet(signed(problem, x), columns)) for name, x in sheets.items()}
