"""Driver `factorize`: replaces kernels by two factors if that saves bits and keeps the accuracy."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, lowrank
from experiments.problem import Problem, predict

# Training examples on which accuracy is measured; no choice reads the test set.
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
    """Tries ascending budgets for each kernel and takes the first that saves enough bits and keeps the accuracy.

    The factors may need at most `margin` of the kernel's present bits. The accuracy on training examples may fall by at
    most `tolerance`; later stages train the factors, so it may be generous.

    Args:
        problem: Network and data.
        tree: Parameters, with or without nodes.
        select: Pattern of kernels to try.
        budgets: Fractions of the dense parameter count, ascending.
        tolerance: Points of training accuracy.
        margin: Fraction of the bits.
        bits: Bits per stored value in the file.

    Returns:
        The tree, with `LowRank` nodes where they pay off, and `notes`: the decision for each kernel.

    Raises:
        ValueError: If the pattern matches nothing.
    """
    chosen = [path for path, x in core.nodes(tree).items() if core.matches(select, path, x)]
    if not chosen:
        raise ValueError(f"factorize: select={select!r} matches none of {sorted(core.nodes(tree))}; fix it")
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
        factors = core.compress({"x": dense}, {".*": lowrank.svd(budget=budget, always=True)}, on_unchanged="ignore")[
            "x"
        ]
        needed = bits * (factors.left.size + factors.right.size)
        if needed > margin * now:
            tried.append(f"budget {budget:g} saves too little over {name} of {now / 8:,.0f} bytes")
            break
        before = _training_accuracy(problem, tree) if before is None else before
        candidate = replace(tree, path, factors)
        lost = 100 * (before - _training_accuracy(problem, candidate))
        result = f"rank {factors.rank} takes {needed / 8:,.0f} bytes for {now / 8:,.0f} and costs {lost:.1f} points"
        if lost <= tolerance:
            return candidate, f"{path}: {'; '.join([*tried, result])}: factorized"
        tried.append(result)
    return tree, f"{path}: {'; '.join(tried)}: kept"


def _training_accuracy(problem: Problem, tree: Any) -> float:
    images = np.asarray(problem.data.train_images[:EXAMPLES])
    logits = predict(problem.apply, jax.device_get(core.materialize(tree)), images)
    return float((logits.argmax(-1) == problem.data.train_labels[:EXAMPLES]).mean())


def stored_bits(dense: np.ndarray, bits: float) -> float:
    """Bits of a kernel in the file: its nonzero values and the entropy of their positions, `n_1 b + N h(n_1 / N)`.

    Example:
        >>> stored_bits(np.array([1.0, 0.0]), 4)
        6.0
    """
    kept = np.count_nonzero(dense) / dense.size
    positions = -sum(p * np.log2(p) for p in (kept, 1 - kept) if p)
    return float(dense.size * (kept * bits + positions))


def replace(tree: Any, path: str, node: Any) -> Any:
    """The tree, nested dicts, with another node at a path.

    Example:
        >>> replace({"a": {"b": 1, "c": 2}}, "a/b", 3)
        {'a': {'b': 3, 'c': 2}}
    """
    first, _, rest = path.partition("/")
    return {**tree, first: replace(tree[first], rest, node) if rest else node}
