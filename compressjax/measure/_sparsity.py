"""Fractions of zero weights."""

from typing import Any, NamedTuple

import numpy as np

from compressjax.core import Selector, dense, kernels, matches, nodes
from compressjax.core._tree import is_value


class Sparsity(NamedTuple):
    """Fractions of exact zeros.

    Attributes:
        total: Fraction over all selected leaves.
        leaves: `{path: fraction}`.
        zeros: Number of zeros.
        entries: Number of entries.
    """

    total: float
    leaves: dict[str, float]
    zeros: int
    entries: int


def sparsity(tree: Any, selector: Selector = kernels) -> Sparsity:
    """Returns the fraction of exact zeros among dense weights, per leaf and in total.

    .. math:: \\frac{1}{N} \\sum_i [w_i = 0]

    Args:
        tree: Tree of arrays and nodes; a node counts as its dense tensor.
        selector: The leaves to count; kernels by default, `".*"` for biases and norms too.

    Returns:
        The fractions.

    Raises:
        ValueError: If nothing is selected.

    Example:
        >>> sparsity({"kernel": np.eye(4), "bias": np.zeros(4)}).total
        0.75
    """
    chosen = {p: x for p, x in nodes(tree).items() if is_value(x) and matches(selector, p, x)}
    if not chosen:
        raise ValueError(f"sparsity: {selector!r} selects nothing; the tree has {sorted(nodes(tree))}")
    kept = {path: int(np.count_nonzero(np.asarray(dense(x)))) for path, x in chosen.items()}
    sizes = {path: int(np.prod(x.shape, dtype=np.int64)) for path, x in chosen.items()}
    shares = {path: 1 - kept[path] / max(size, 1) for path, size in sizes.items()}
    entries, zeros = sum(sizes.values()), sum(sizes.values()) - sum(kept.values())
    return Sparsity(zeros / max(entries, 1), shares, zeros, entries)
