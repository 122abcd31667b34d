"""Stage `factorize`: a kernel becomes a product of two factors where that is smaller and the network bears it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, lowrank
from compressjax.recipe import Previous, Stage, Stored
from experiments.problem import Problem, predict
from experiments.stages.facts import conclude, last_tree

# Training examples that accuracy is asked of; the test set has no say in any choice.
EXAMPLES = 2000


def make_factorize(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    For each kernel in turn the budgets are tried from the smallest. The first one is taken whose factors need at most
    `margin` of the bits that the kernel needs now, and with which accuracy on training examples falls by no more than
    `tolerance`. Later stages train the factors, so the tolerance may be generous.

    Args:
        problem: network and data.
        settings: `select` (pattern of kernels to try), `budgets` (fractions of the dense parameter count, ascending),
            `tolerance` (points of training accuracy), `margin` (fraction of the bits) and `bits` (what a stored value
            will take in the file).

    Returns:
        The stage; its result has `LowRank` nodes where they pay, and its facts say what was decided for each kernel.
    """

    def start(previous: Previous) -> tuple[Any, Any]:
        tree, notes = last_tree(previous), []
        chosen = {path: x for path, x in core.nodes(tree).items() if core.matches(settings["select"], path, x)}
        if not chosen:
            raise ValueError(
                f"--config.factorize.select={settings['select']!r} matches none of {sorted(core.nodes(tree))}; mend it"
            )
        for path in chosen:
            tree, note = _decide(problem, tree, path, settings)
            notes.append(note)
        return None, {"tree": tree, "notes": notes}

    def finish(context: Any, state: Any) -> Stored:
        return conclude(problem, state["tree"], notes=state["notes"])

    return Stage("factorize", dict(settings), start, finish)


def _decide(problem: Problem, tree: Any, path: str, settings: Mapping[str, Any]) -> tuple[Any, str]:
    leaf = core.nodes(tree)[path]
    dense = jnp.asarray(core.dense(leaf))
    now = stored_bits(np.asarray(dense), settings["bits"])
    name = f"the {type(leaf).__name__} kernel" if core.is_node(leaf) else "the dense kernel"
    before, tried = None, []
    for budget in settings["budgets"]:
        factors = core.compress({"x": dense}, {".*": lowrank.svd(budget=budget)}, on_unchanged="ignore")["x"]
        if not core.is_node(factors) or _bits(factors, settings) > settings["margin"] * now:
            tried.append(f"budget {budget:g} saves too little over {name} of {now / 8:,.0f} bytes")
            break
        before = _training_accuracy(problem, tree) if before is None else before
        candidate = replace(tree, path, factors)
        lost = 100 * (before - _training_accuracy(problem, candidate))
        size = _bits(factors, settings) / 8
        said = f"rank {factors.rank} takes {size:,.0f} bytes for {now / 8:,.0f} and costs {lost:.1f} points"
        if lost <= settings["tolerance"]:
            return candidate, f"{path}: {'; '.join([*tried, said])}: factorized"
        tried.append(said)
    return tree, f"{path}: {'; '.join(tried)}: kept"


def _bits(factors: Any, settings: Mapping[str, Any]) -> float:
    return settings["bits"] * (factors.left.size + factors.right.size)


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
