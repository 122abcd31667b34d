"""Facts recorded at the end of every stage, and what stages read from earlier ones."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import artifact, core, interpret, observe
from compressjax.recipe import Previous, Stored
from experiments import models
from experiments.problem import Problem, assess, predict


def conclude(problem: Problem, tree: Any, **extra: Any) -> Stored:
    """Result of a stage: its tree, the test predictions, and the facts for tables.

    Args:
        problem: Network and data.
        tree: Parameters, with or without nodes.
        **extra: More JSON facts.

    Returns:
        The result; its tree has the keys `params` and `predictions`.
    """
    lifted = interpret.lift(problem.apply, on_fallback="ignore")
    logits = predict(lifted, interpret.prepare(tree), problem.data.test_images)
    facts = {**assess(logits, problem.data.test_labels), **sizes(tree), "network": models.describe(problem.model)}
    return Stored({"params": tree, "predictions": logits.argmax(-1).astype(np.uint8)}, {**facts, **extra})


def sizes(tree: Any) -> dict[str, Any]:
    """Bytes of a tree as float32, packed and as a file, and its fraction of nonzero entries."""
    dense = [np.asarray(x) for x in jax.tree.leaves(core.materialize(tree))]
    entries = sum(x.size for x in dense)
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "stage.cjx")
        artifact.save(place, tree)
        file_bytes = os.path.getsize(place)
    return {
        "float32_bytes": 4 * entries,
        "packed_bytes": -(-sum(core.storage(tree).values()) // 8),
        "file_bytes": file_bytes,
        "density": sum(int(np.count_nonzero(x)) for x in dense) / entries,
    }


def last_tree(previous: Previous) -> Any:
    """The tree after the latest stage."""
    return list(previous.values())[-1].tree["params"]


def problem_at(problem: Problem, previous: Previous) -> Problem:
    """The problem with the network of the latest stage, which `shrink` changes."""
    if not previous:
        return problem
    return problem._replace(model=models.create(**list(previous.values())[-1].facts["network"]))


def traced(problem: Problem, tree: Any) -> Any:
    """Abstract statistics of a network: the axes of its leaves, without data."""
    images = jax.eval_shape(lambda x: x, problem.images[:2])
    return jax.eval_shape(observe(problem.apply), tree, images)[1]


def observed(problem: Problem, stats: Mapping[str, Any] | None, tree: Any) -> Any:
    """Statistics of a network on its first training images, as many as `stats` gives; None without `stats`."""
    if stats is None:
        return None
    return jax.jit(observe(problem.apply))(core.materialize(tree), problem.images[: stats["examples"]])[1]
