"""Driver `shrink`: channels and units are cut out, and the network is the smaller one from then on."""

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
    """Cuts a network, checked against zeros in its weights, and finds the widths of the module that runs it.

    Args:
        problem: network and data.
        tree: dense parameters, or all collections.
        keep: fraction of the units of every group.
        saliency: name of what ranks units, see `structure.shrink`.
        round_to: numbers of units are multiples of this.

    Returns:
        Smaller arrays; and facts, among them `network`.

    Raises:
        ValueError: when nothing was cut.
    """
    images = jnp.asarray(problem.data.train_images[:EXAMPLES], jnp.float32)
    example = (images - problem.data.mean) / problem.data.std
    variables = jax.tree.map(jnp.asarray, as_variables(tree))
    small = structure.shrink(problem.model.apply, variables, example, keep=keep, saliency=saliency, round_to=round_to)
    if small.before.parameters == small.after.parameters:
        raise ValueError(f"shrink cut nothing with keep={keep} and round_to={round_to}; lower them or leave it out")
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
