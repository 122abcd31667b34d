"""What methods learn themselves (scores, gates, thresholds): one step of an optimizer that survives bad gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def learn(
    optimizer: optax.GradientTransformation, grads: dict[str, jax.Array], inner: Any, learned: dict[str, jax.Array]
) -> tuple[dict[str, jax.Array], Any]:
    """One step; a step with a gradient that is not finite is skipped whole, as `optax.apply_if_finite` does."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads.values()]))
    updates, after = optimizer.update(grads, inner, learned)
    moved = optax.apply_updates(learned, updates)
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), (moved, after), (learned, inner))


def at_step(setting: Any, step: jax.Array) -> jax.Array:
    """A setting that is a number or a function of the step."""
    return jnp.asarray(setting(step) if callable(setting) else setting, jnp.float32)
