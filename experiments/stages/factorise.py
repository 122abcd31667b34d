"""Stage `factorise`: a kernel becomes a product of two factors where that takes fewer bits than what it has now."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax import core, lowrank
from compressjax.recipe import Previous, Stage, Stored
from compressjax.tensors import LowRank
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree


def make_factorise(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: `select` (pattern of kernels to try), `energy` (fraction of the squared norm that the factors keep)
            and `bits` (what a stored value will take in the file).

    Returns:
        The stage; its result has `LowRank` nodes where they pay, and its facts say what was decided for each kernel.
    """

    def start(previous: Previous) -> tuple[Any, Any]:
        tree, notes = last_tree(previous), []
        for path, leaf in core.nodes(tree).items():
            if core.matches(settings["select"], path, leaf):
                tree, note = _decide(tree, path, leaf, settings)
                notes.append(note)
        return None, {"tree": tree, "notes": notes}

    def finish(context: Any, state: Any) -> Stored:
        return conclude(problem, state["tree"], notes=state["notes"])

    return Stage("factorise", dict(settings), start, finish)


def _decide(tree: Any, path: str, leaf: Any, settings: Mapping[str, Any]) -> tuple[Any, str]:
    dense = core.dense(leaf)
    factors = lowrank.svd(energy=settings["energy"], always=True)
    encoded = factors.encode({path: dense}, factors.init({path: dense}))[path]
    values = encoded.left.size + encoded.right.size
    rank_bits = settings["bits"] * values
    now_bits = stored_bits(np.asarray(dense), settings["bits"])
    said = f"{path}: rank {encoded.rank} takes {rank_bits / 8:,.0f} bytes, {core_name(leaf)} {now_bits / 8:,.0f}"
    if rank_bits >= now_bits:
        return tree, f"{said}: kept"
    return replace(tree, path, LowRank(encoded.left, encoded.right, encoded.inputs)), f"{said}: factorised"


def stored_bits(dense: np.ndarray, bits: float) -> float:
    """Bits of a kernel in the file: its non-zero values, and the entropy of where they are.

    .. math:: n_1 b + N h(n_1 / N)

    Args:
        dense: the kernel.
        bits: of a stored value.

    Returns:
        The number of bits.

    Example:
        >>> stored_bits(np.array([1.0, 0.0]), 4)
        6.0
    """
    kept = np.count_nonzero(dense) / dense.size
    positions = -sum(p * np.log2(p) for p in (kept, 1 - kept) if p)
    return float(dense.size * (kept * bits + positions))


def core_name(leaf: Any) -> str:
    """How a leaf is called in a sentence."""
    return f"the {type(leaf).__name__} kernel" if core.is_node(leaf) else "the dense kernel"


def replace(tree: Any, path: str, node: Any) -> Any:
    """The tree with another node at a path.

    Args:
        tree: nested dicts.
        path: of a leaf.
        node: what takes its place.

    Returns:
        A new tree.

    Example:
        >>> replace({"a": {"b": 1, "c": 2}}, "a/b", 3)
        {'a': {'b': 3, 'c': 2}}
    """
    first, _, rest = path.partition("/")
    return {**tree, first: replace(tree[first], rest, node) if rest else node}
