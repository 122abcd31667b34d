"""Driver `factorize`: a kernel becomes a product of two factors where that is smaller and the network bears it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, lowrank
from experiments.problem import Problem, predict

# Training examples that accuracy is asked of; the test set has no say in any choice.
EXAMPLES = 2000


def factorize(
    problem: Problem,
    tree: Any,
    *,
    select: str,
    budgets: Sequence[float],
    tolerance: float,
    margin: float = 0.75,
    bits: float = 4.0,
) -> tuple[Any, dict[str, Any]]:
    """Tries budgets for each kernel in turn, from the smallest, and takes the first that pays and that is borne.

    The factors must need at most `margin` of the bits that the kernel needs now, and accuracy on training examples may
    fall by no more than `tolerance`. Later stages train the factors, so the tolerance may be generous.

    Args:
        problem: network and data.
        tree: parameters, with or without nodes.
        select: pattern of kernels to try.
        budgets: fractions of the dense parameter count, ascending.
        tolerance: points of training accuracy.
        margin: fraction of the bits.
        bits: what a stored value will take in the file.

    Returns:
        The tree, with `LowRank` nodes where they pay; and `notes`: what was decided for each kernel.

    Raises:
        ValueError: when the pattern matches nothing.
    """
    chosen = [path for path, x in core.nodes(tree).items() if core.matches(select, path, x)]
    if not chosen:
        raise ValueError(f"factorize: select={select!r} matches none of {sorted(core.nodes(tree))}; mend it")
    notes = []
    for path in chosen:
        tree, note = _decide(problem, tree, path, tuple(budgets), tolerance, margin, bits)
        notes.append(note)
    return tree, {"notes": notes}


def _decide(
    problem: Problem, tree: Any, path: str, budgets: Sequence[float], tolerance: float, margin: float, bits: float
) -> tuple[Any, str]:
    leaf = core.nodes(tree)[path]
    dense = jnp.asarray(core.dense(leaf))
    now = stored_bits(np.asarray(dense), bits)
    name = f"the {type(leaf).__name__} kernel" if core.is_node(leaf) else "the dense kernel"
    before, tried = None, []
    for budget in budgets:
        factors = core.compress({"x": dense}, {".*": lowrank.svd(budget=budget)}, on_unchanged="ignore")["x"]
        needed = bits * (factors.left.size + factors.right.size) if core.is_node(factors) else np.inf
        if needed > margin * now:
            tried.append(f"budget {budget:g} saves too little over {name} of {now / 8:,.0f} bytes")
            break
        before = _training_accuracy(problem, tree) if before is None else before
        candidate = replace(tree, path, factors)
        lost = 100 * (before - _training_accuracy(problem, candidate))
        said = f"rank {factors.rank} takes {needed / 8:,.0f} bytes for {now / 8:,.0f} and costs {lost:.1f} points"
        if lost <= tolerance:
            return candidate, f"{path}: {'; '.join([*tried, said])}: factorized"
        tried.append(said)
    return tree, f"{path}: {'; '.join(tried)}: kept"


def _training_accuracy(problem: Problem, tree: Any) -> float:
    images = np.asarray(problem.data.train_images[:EXAMPLES])
    logits = predict(problem.apply, jax.device_get(core.materialize(tree)), images)
    return float((logits.argmax(-1) == problem.data.train_labels[:EXAMPLES]).mean())


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
