"""What is recorded at the end of every stage."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import core
from compressjax.recipe import Stored
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
    logits = predict(problem.apply, core.materialize(tree), problem.data.test_images)
    facts = {**assess(logits, problem.data.test_labels), **sizes(tree), **extra}
    return Stored({"params": tree, "predictions": logits.argmax(-1).astype(np.uint8)}, facts)


def sizes(tree: Any) -> dict[str, Any]:
    """Bytes of a tree as float32 and packed, and the fraction of its entries that are not zero.

    Args:
        tree: parameters, with or without nodes.

    Returns:
        `float32_bytes`, `packed_bytes` and `density`.
    """
    dense = jax.tree.leaves(core.materialize(tree))
    entries = sum(np.size(x) for x in dense)
    nonzero = sum(int(np.count_nonzero(np.asarray(x))) for x in dense)
    return {
        "float32_bytes": 4 * entries,
        "packed_bytes": -(-sum(core.storage(tree).values()) // 8),
        "density": nonzero / entries,
    }


def changed(one: np.ndarray, other: np.ndarray) -> int:
    """Number of examples on which two predictions differ.

    Example:
        >>> changed(np.array([1, 2]), np.array([1, 3]))
        1
    """
    return int((one != other).sum())


def merge(settings: Mapping[str, Any], *shared: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a stage: what all stages share, overridden by its own.

    Example:
        >>> merge({"a": 1}, {"a": 0, "b": 2})
        {'a': 1, 'b': 2}
    """
    result: dict[str, Any] = {}
    for part in (*shared, settings):
        result.update(part)
    return result
