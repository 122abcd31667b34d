"""Masks chosen before the first step: SNIP, GraSP, SynFlow, magnitudes and chance, then one training each."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, prune, saliency
from experiments import app
from experiments.datasets import batch_indices
from experiments.problem import Problem, make_problem
from experiments.reproduce.loop import data_of, train
from experiments.reproduce.table import Claim


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, then every method at every sparsity: `"snip 0.9"`."""
    unknown = sorted(set(config["methods"]) - set(METHODS))
    if unknown:
        raise ValueError(f"--config.methods: {unknown} do not exist; choose among {', '.join(METHODS)}")
    return ["dense", *(f"{method} {sparsity}" for sparsity in config["sparsities"] for method in config["methods"])]


def prepare(launch: app.Launch) -> Problem:
    """Data and network."""
    return make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Draws one network, masks it, trains what is left."""
    problem = shared._replace(seed=seed)
    params = problem.initial_params()
    compression = core.identity()
    if name != "dense":
        method, sparsity = name.split()
        compression = METHODS[method](problem, config, float(sparsity))
    done = train(problem.apply, params, data_of(problem), config, seed=seed, compression=compression)
    if name == "dense":
        return {"error": done.errors[-1], "zeros": 0.0}
    masks = done.state.masks.values()
    kept = [int(mask.sum()) / mask.size for mask in masks]
    zeros = 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks)
    return {"error": done.errors[-1], "zeros": 100 * zeros, "thinnest layer keeps": 100 * min(kept)}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Known figures, within the width that seeds and data leave; and SNIP below chance at every sparsity."""
    known = [
        Claim(f"{method} {sparsity}", "", error - width, error + width, f"{error:g}")
        for method, sparsity, error, width in config["known"]
    ]
    both = {"snip", "random"} <= set(config["methods"])
    order = [Claim(f"snip {s}", f"random {s}", None, 0.0) for s in config["sparsities"] if both]
    return [*known, *order]


def _entropy(problem: Problem, temperature: float = 1.0) -> saliency.Loss:
    def loss(params: Any, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        logits = problem.apply(params, batch[0]) / temperature
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

    return loss


def _batch(problem: Problem, rows: np.ndarray) -> list[tuple[jax.Array, jax.Array]]:
    return [(problem.images[rows], problem.labels[rows])]


def _random(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    del config
    return prune.one_shot(saliency.random(problem.key("random")), sparsity, "uniform")


def _magnitude(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    del problem, config
    return prune.one_shot(saliency.magnitude(), sparsity, "uniform")


def _magnitude_global(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Initial magnitudes tell fan-in, not worth: ranked over all layers, the widest one loses everything."""
    del problem, config
    return prune.one_shot(saliency.magnitude(), sparsity, "global")


def _snip(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    rows = batch_indices(problem.seed, "snip", 0, 1, config["examples"], len(problem.data.train_labels))[0]
    return prune.one_shot(saliency.snip(_entropy(problem), _batch(problem, rows)), sparsity, "global")


def _grasp(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    labels = problem.data.train_labels
    order = batch_indices(problem.seed, "grasp", 0, 1, len(labels), len(labels))[0]
    classes = range(problem.data.classes)
    rows = np.concatenate([order[labels[order] == c][: config["grasp"]["per_class"]] for c in classes])
    loss = _entropy(problem, config["grasp"]["temperature"])
    return prune.one_shot(saliency.grasp(loss, _batch(problem, rows)), sparsity, "global")


def _synflow(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    def forward(params: Any, images: jax.Array) -> jax.Array:
        return problem.model.apply({"params": params}, images)  # standardised, ones would not stay ones

    ones = jnp.ones((1, *problem.data.train_images.shape[1:]))
    flow = saliency.synflow(forward, ones, sparsity, steps=config["synflow"]["steps"])
    return prune.one_shot(flow, sparsity, "global")


METHODS: dict[str, Callable[[Problem, Mapping[str, Any], float], core.Compression]] = {
    "random": _random,
    "magnitude": _magnitude,
    "magnitude_global": _magnitude_global,
    "snip": _snip,
    "grasp": _grasp,
    "synflow": _synflow,
}
