"""Statistics of masks, and units that masks leave without effect."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from compressjax.core import Selector, dense, kernels, matches, nodes
from compressjax.core._checks import check_statistics
from compressjax.core._tree import is_value

GROUPS = ((1, 2), (2, 4), (1, 4), (4, 8))


class MaskStatistics(NamedTuple):
    """The zeros of one leaf, as a matrix `[inputs, outputs]` (outputs are the last axis).

    Attributes:
        entries: Number of weights.
        kept: Number of nonzero weights.
        density: `kept / entries`.
        position_bits: Entropy of the mask per kept weight: the minimum cost of random positions.
        empty_inputs: Number of inputs whose weights are all zero.
        empty_outputs: Number of outputs whose weights are all zero.
        fewest: Smallest number of nonzero weights of an output.
        most: Largest number of nonzero weights of an output.
        patterns: The N:M patterns along the inputs that the leaf satisfies.
    """

    entries: int
    kept: int
    density: float
    position_bits: float
    empty_inputs: int
    empty_outputs: int
    fewest: int
    most: int
    patterns: tuple[str, ...]


class DeadUnits(NamedTuple):
    """Units of one leaf that have no effect.

    Attributes:
        silent: Inputs that never exceed the tolerance on the data; None without statistics.
        unread: Inputs whose weights are all zero.
        unfed: Outputs whose weights are all zero: they equal their bias.
    """

    silent: np.ndarray | None
    unread: np.ndarray
    unfed: np.ndarray


def mask_statistics(tree: Any, selector: Selector = kernels) -> dict[str, MaskStatistics]:
    """Counts zeros, empty units and satisfied patterns per leaf.

    .. math:: \\text{position bits} = \\frac{N\\, h(k / N)}{k}

    Args:
        tree: Tree of arrays and nodes; a node counts as its dense tensor.
        selector: The leaves to count; kernels by default.

    Returns:
        `{path: MaskStatistics}`.

    Raises:
        ValueError: If nothing is selected.

    Example:
        >>> found = mask_statistics({"kernel": np.array([[1.0, 0.0], [0.0, 0.0]])})["kernel"]
        >>> found.kept, found.empty_inputs, found.empty_outputs, found.patterns
        (1, 1, 1, ('1:2',))
    """
    return {path: _statistics(x) for path, x in _matrices(tree, selector).items()}


def dead_units(
    tree: Any, stats: Mapping[str, Any] | None = None, selector: Selector = kernels, *, tolerance: float = 0.0
) -> dict[str, DeadUnits]:
    """Finds units that are never active on the data, or whose weights on one side are all zero.

    Args:
        tree: Tree of arrays and nodes.
        stats: Statistics of `observe`; in a stack of layers, a unit is silent if it is silent in all of them.
        selector: The leaves to search; kernels by default.
        tolerance: Largest absolute input of a silent unit.

    Returns:
        `{path: DeadUnits}`, indices into the inputs and outputs of each leaf.

    Raises:
        ValueError: If nothing is selected, no input reached a leaf, or its inputs are not finite.

    Example:
        >>> found = dead_units({"kernel": np.array([[1.0, 0.0], [0.0, 0.0]])})["kernel"]
        >>> found.unread.tolist(), found.unfed.tolist()
        ([1], [1])
    """
    found = {}
    for path, x in _matrices(tree, selector).items():
        alive = x != 0
        silent = None
        if stats is not None and path in stats:
            check_statistics("dead_units", {path: stats[path]}, zeros=True)
            largest = np.asarray(stats[path].largest)
            silent = np.flatnonzero(largest.reshape(-1, largest.shape[-1]).max(0) <= tolerance)
        found[path] = DeadUnits(silent, np.flatnonzero(~alive.any(1)), np.flatnonzero(~alive.any(0)))
    return found


def _matrices(tree: Any, selector: Selector) -> dict[str, np.ndarray]:
    chosen = {p: x for p, x in nodes(tree).items() if is_value(x) and matches(selector, p, x)}
    if not chosen:
        raise ValueError(f"{selector!r} selects nothing; the tree has {sorted(nodes(tree))}")
    arrays = {path: np.asarray(dense(x)) for path, x in chosen.items()}
    return {path: x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1) for path, x in arrays.items()}


def _statistics(x: np.ndarray) -> MaskStatistics:
    alive = x != 0
    kept, entries = int(alive.sum()), x.size
    density = kept / max(entries, 1)
    entropy = -sum(p * np.log2(p) for p in (density, 1 - density) if p > 0)
    outputs = alive.sum(0)
    patterns = tuple(
        f"{n}:{m}" for n, m in GROUPS if len(x) % m == 0 and (alive.reshape(-1, m, x.shape[1]).sum(1) <= n).all()
    )
    return MaskStatistics(
        entries, kept, density, float(entropy * entries / max(kept, 1)), int((~alive.any(1)).sum()),
        int((~alive.any(0)).sum()), int(outputs.min(initial=entries)), int(outputs.max(initial=0)), patterns,
    )  # fmt: skip
