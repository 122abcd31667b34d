"""What methods learn themselves (scores, gates, thresholds): one step of an optimizer that survives bad gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def learn(
    optimizer: optax.GradientTransformation, grads: dict[str, jax.Array], inner: Any, learned: dict[str, jax.Array]
) -> tuple[dict[str, jax.Array], Any]:
    """One step; a step with a gradient that is not finite is skipped whole, as `optax.apply_if_finite` does.

    Args:
        optimizer: Any optax transformation.
        grads: `{path: gradient}`.
        inner: The optimizer's state.
        learned: `{path: array}`.

    Returns:
        The moved arrays and the optimizer's new state.

    Example:
        >>> learn(optax.sgd(1.0), {"a": jnp.ones(1)}, optax.sgd(1.0).init({}), {"a": jnp.zeros(1)})[0]["a"].tolist()
        [-1.0]
    """
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads.values()]))
    updates, after = optimizer.update(grads, inner, learned)
    moved = optax.apply_updates(learned, updates)
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), (moved, after), (learned, inner))


def at_step(setting: Any, step: jax.Array) -> jax.Array:
    """A setting that is a number or a function of the step.

    Args:
        setting: Number, or `step -> number` as optax's schedules are.
        step: Steps done.

    Returns:
        float32 scalar.

    Example:
        >>> at_step(0.5, 3).item(), at_step(lambda step: step / 2, jnp.int32(3)).item()
        (0.5, 1.5)
    """
    return jnp.asarray(setting(step) if callable(setting) else setting, jnp.float32)
