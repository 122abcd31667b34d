"""Sparse training as jaxpruner runs it, and whether it survives a few steps."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import optax

# Not on a package index, so it needs a checkout on the path.
jaxpruner = importlib.import_module("jaxpruner")
ALGORITHMS = {"rigl": jaxpruner.RigL, "set": jaxpruner.SET}


def train(
    algorithm: str,
    optimizer: optax.GradientTransformation,
    params: Any,
    gradient: Callable[[Any], Any],
    steps: int,
    sparsity: float = 0.5,
    every: int = 2,
) -> Any:
    """Parameters after some steps of its updater around an optimizer, as in the loop of its README.

    Args:
        algorithm: `"rigl"` or `"set"`.
        optimizer: Any optax transformation.
        params: Nested dict.
        gradient: `params -> gradients`.
        steps: Number of steps.
        sparsity: Fraction of zeros, uniform over kernels.
        every: Steps between exchanges.

    Returns:
        The parameters.
    """
    updater = ALGORITHMS[algorithm](
        sparsity_distribution_fn=functools.partial(jaxpruner.sparsity_distributions.uniform, sparsity=sparsity),
        scheduler=jaxpruner.sparsity_schedules.PeriodicSchedule(
            update_freq=every, update_start_step=1, update_end_step=10**6
        ),
    )
    tx = updater.wrap_optax(optimizer)
    state = tx.init(params)
    for _ in range(steps):
        viewed = updater.pre_forward_update(params, state)
        updates, state = tx.update(gradient(viewed), state, params)
        params = updater.post_gradient_update(optax.apply_updates(params, updates), state)
    return params


def with_removed_names() -> None:
    """Restores `jax.tree_map`, which JAX 0.6 removed and this peer needs."""
    jax.tree_map = jax.tree.map  # type: ignore[attr-defined]
