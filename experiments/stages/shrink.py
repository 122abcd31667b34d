"""Driver `shrink`: removes channels and units; later stages use the smaller network."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax import modules, structure
from experiments.models import describe
from experiments.problem import Problem, as_variables

EXAMPLES = 64


def shrink(
    problem: Problem, tree: Any, *, keep: float = 0.5, saliency: str = "l1", round_to: int = 1
) -> tuple[Any, dict[str, Any]]:
    """Shrinks a network, checks it against zeros in its weights, and finds the widths of the smaller module.

    Args:
        problem: Network and data.
        tree: Dense parameters, or all collections.
        keep: Fraction of the units to keep in every group.
        saliency: Name of the saliency of units, see `structure.shrink`.
        round_to: Numbers of units are multiples of this.

    Returns:
        Smaller arrays; and facts, among them `network`.

    Raises:
        ValueError: If nothing was removed.
    """
    example = problem.standardized(problem.data.train_images[:EXAMPLES])
    variables = jax.tree.map(jnp.asarray, as_variables(tree))
    small = structure.shrink(problem.model.apply, variables, example, keep=keep, saliency=saliency, round_to=round_to)
    if small.before.parameters == small.after.parameters:
        raise ValueError(f"shrink removed nothing with keep={keep} and round_to={round_to}; lower them or leave it out")
    expected = jax.jit(small.fn)(small.params, example)
    network = modules.resize(problem.model, small.params, example, expected=expected, tolerance=1e-4)
    facts = {
        "network": describe(network),
        "cut": {
            "error": float(small.error),
            "groups": [row._asdict() for row in small.cuts],
            "before": small.before._asdict(),
            "after": small.after._asdict(),
        },
    }
    return small.params if "params" in tree else small.params["params"], facts
