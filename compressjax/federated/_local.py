"""Training of one client in one round."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from compressjax.federated._algorithms import Algorithm

Leaves = Mapping[str, jax.Array]


def train_alone(
    loss: Callable[[Any, Any], jax.Array], algorithm: Algorithm, anchor: Leaves, shift: Leaves, batches: Any
) -> tuple[dict[str, jax.Array], jax.Array]:
    """The change of one client's model in float32 and its mean loss; gradients get `shift`, where it has them."""

    def step(carry: tuple[Any, Any], batch: Any) -> tuple[tuple[Any, Any], jax.Array]:
        now, state = carry
        value, grads = jax.value_and_grad(loss)(now, batch)
        if algorithm.proximal:
            grads = {path: g + algorithm.proximal * (now[path] - anchor[path]) for path, g in grads.items()}
        grads = {path: (g + shift[path]).astype(g.dtype) if path in shift else g for path, g in grads.items()}
        updates, state = algorithm.local.update(grads, state, now)
        return (optax.apply_updates(now, updates), state), value

    start = dict(anchor)
    (last, _), losses = jax.lax.scan(step, (start, algorithm.local.init(start)), batches)
    return {path: (x - anchor[path]).astype(jnp.float32) for path, x in last.items()}, losses.mean()
