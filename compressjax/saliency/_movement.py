"""Movement: keep the weights that training moves away from zero."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from compressjax.core import values, with_values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, check_batches, gradients


def movement(loss: Loss, batches: Sequence[Any], optimizer: optax.GradientTransformation) -> Saliency:
    """Scores a weight by how far training moves it away from zero.

    .. math:: s = -\\sum_t w_t \\, g_t

    along one optimizer step per batch, starting at the scored parameters, which do not change. Scores are signed:
    weights that shrink are negative and are removed first. Use it for transfer learning, with batches of the new task.

    Args:
        loss: `(params, batch) -> scalar`.
        batches: List of batches, one per step.
        optimizer: Any optax transformation, such as `optax.sgd(0.1)`.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.sum((p["w"] - x) ** 2) / 2
        >>> away = movement(loss, [jnp.array([4.0, 0.0])], optax.sgd(0.1))
        >>> away.score({"w": jnp.array([1.0, 2.0])})["w"].tolist()
        [3.0, -4.0]

    Source: Sanh et al., arXiv:2005.07683 (sanh2020).
    """

    def score(params: Any) -> Scores:
        check_batches(batches, "movement")

        @jax.jit
        def step(flat: Scores, state: Any, total: Scores, batch: Any) -> tuple[Scores, Any, Scores]:
            grads = gradients(loss, with_values(params, flat), batch)
            total = {path: s - wide(flat[path]) * grads[path] for path, s in total.items()}
            narrow = {path: g.astype(flat[path].dtype) for path, g in grads.items()}
            updates, state = optimizer.update(narrow, state, flat)
            return optax.apply_updates(flat, updates), state, total

        flat = values(params)
        state, total = optimizer.init(flat), {path: jnp.zeros_like(wide(x)) for path, x in flat.items()}
        for batch in batches:
            flat, state, total = step(flat, state, total, batch)
        return total

    return from_params("movement", score)
