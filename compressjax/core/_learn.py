"""Optimizer steps for scores, gates and thresholds, robust to bad gradients."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

Strength = float | Callable[[jax.Array], jax.Array]  # a number, or a function of the step


def learn(
    optimizer: optax.GradientTransformation, grads: dict[str, jax.Array], inner: Any, learned: dict[str, jax.Array]
) -> tuple[dict[str, jax.Array], Any]:
    """One optimizer step; skipped if a gradient is not finite, as in `optax.apply_if_finite`."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads.values()]))
    updates, after = optimizer.update(grads, inner, learned)
    moved = optax.apply_updates(learned, updates)
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), (moved, after), (learned, inner))


def at_step(setting: Any, step: jax.Array) -> jax.Array:
    """A setting that is a number or a function of the step."""
    return jnp.asarray(setting(step) if callable(setting) else setting, jnp.float32)
