"""What is recorded at the end of every stage, and small helpers that stages share."""

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from compressjax import artifact, core, interpret
from compressjax.recipe import Previous, Stored
from experiments.problem import Problem, assess, predict


def conclude(problem: Problem, tree: Any, **extra: Any) -> Stored:
    """A stage's result: its tree, the test predictions, and the facts that tables show.

    Args:
        problem: network and data.
        tree: parameters, with or without nodes.
        **extra: further JSON facts.

    Returns:
        The result; its tree has the keys `params` and `predictions`.
    """
    lifted = interpret.lift(problem.apply, on_fallback="ignore")
    logits = predict(lifted, interpret.prepare(tree), problem.data.test_images)
    facts = {**assess(logits, problem.data.test_labels), **sizes(tree), **extra}
    return Stored({"params": tree, "predictions": logits.argmax(-1).astype(np.uint8)}, facts)


def sizes(tree: Any) -> dict[str, Any]:
    """Bytes of a tree as float32, packed and as a file, and the fraction of its entries that are not zero.

    Args:
        tree: parameters, with or without nodes.

    Returns:
        `float32_bytes`, `packed_bytes`, `file_bytes` and `density`.
    """
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
    """The tree that the latest stage left."""
    return list(previous.values())[-1].tree["params"]


def either(patterns: Iterable[str]) -> str:
    """A pattern that matches what any of the patterns matches.

    Example:
        >>> either(["a", "b.*"])
        '(?:a)|(?:b.*)'
    """
    return "|".join(f"(?:{pattern})" for pattern in patterns)
