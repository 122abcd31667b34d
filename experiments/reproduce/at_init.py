"""Masks chosen before the first step: SNIP, GraSP, SynFlow, magnitudes and chance."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, prune, saliency
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy


def _batch(problem: Problem, rows: np.ndarray) -> list[tuple[jax.Array, jax.Array]]:
    return [(problem.images[rows], problem.labels[rows])]


def random(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    del config
    return prune.one_shot(saliency.random(problem.key("random")), sparsity, "uniform")


def magnitude(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    del problem, config
    return prune.one_shot(saliency.magnitude(), sparsity, "uniform")


def magnitude_global(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    """Initial magnitudes tell fan-in, not worth: ranked over all layers, the widest one loses everything."""
    del problem, config
    return prune.one_shot(saliency.magnitude(), sparsity, "global")


def snip(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    rows = batch_indices(problem.seed, "snip", 0, 1, config["examples"], len(problem.data.train_labels))[0]
    return prune.one_shot(saliency.snip(cross_entropy(problem.apply), _batch(problem, rows)), sparsity, "global")


def grasp(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    labels = problem.data.train_labels
    order = batch_indices(problem.seed, "grasp", 0, 1, len(labels), len(labels))[0]
    classes = range(problem.data.classes)
    rows = np.concatenate([order[labels[order] == c][: config["grasp"]["per_class"]] for c in classes])
    loss = cross_entropy(problem.apply, config["grasp"]["temperature"])
    return prune.one_shot(saliency.grasp(loss, _batch(problem, rows)), sparsity, "global")


def synflow(problem: Problem, config: Mapping[str, Any], sparsity: float) -> core.Compression:
    def forward(params: Any, images: jax.Array) -> jax.Array:
        return problem.model.apply({"params": params}, images)  # standardized, ones would not stay ones

    ones = jnp.ones((1, *problem.data.train_images.shape[1:]))
    flow = saliency.synflow(forward, ones, sparsity, steps=config["synflow"]["steps"])
    return prune.one_shot(flow, sparsity, "global")
