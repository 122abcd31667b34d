"""Where the numbers of a training run stop being finite: the step, and the first leaf."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, recipe

FINE, LOSS_ALONE = -1, -2


def fault(loss: jax.Array, params: Any, grads: Any) -> jax.Array:
    """Place of the first leaf that is not finite, in the order of paths, if the loss is not.

    Args:
        loss: Of the step.
        params: From which it was computed.
        grads: Its gradients.

    Returns:
        `FINE`; `LOSS_ALONE` if all leaves are finite; else the place, to which the number of leaves is added if the
        parameters are finite and a gradient is not.
    """

    def find() -> jax.Array:
        bad = jnp.stack([~jnp.isfinite(x).all() for tree in (params, grads) for x in _inexact(tree).values()])
        return jnp.where(bad.any(), bad.argmax(), LOSS_ALONE).astype(jnp.int32)

    # What costs a pass over all leaves runs only in a step that is the last one.
    return jax.lax.cond(jnp.isfinite(loss), lambda: jnp.int32(FINE), find)


def unfinished(
    name: str,
    first: int,
    rate: float,
    params: Any,
    history: Sequence[dict[str, Any]],
    faults: Sequence[Any],
) -> None:
    """Refuses a chunk of steps whose loss, or whose last parameters, are not finite.

    Args:
        name: Label of the stage.
        first: First step of the chunk.
        rate: Its learning rate, for the message.
        params: Parameters after it.
        history: Metrics of its parts, each with one or several steps.
        faults: `fault` of the same steps.

    Raises:
        DivergedError: Names the step and the leaf.
    """
    losses = np.concatenate([np.atleast_1d(np.asarray(metrics["loss"])) for metrics in history])
    places = np.concatenate([np.atleast_1d(np.asarray(place)) for place in faults])
    leaves = list(_inexact(params))
    remedy = f"lower its learning_rate={rate} and choose another --workdir"
    if not np.isfinite(losses).all():
        at = int(np.argmin(np.isfinite(losses)))
        raise recipe.DivergedError(
            f"stage {name}: the loss became {losses[at]} at step {first + at}; {_said(int(places[at]), leaves)}; "
            f"{remedy}"
        )
    for path, leaf in _inexact(params).items():
        if not all(np.isfinite(np.asarray(part.data)).all() for part in leaf.addressable_shards):
            step = first + len(losses) - 1
            raise recipe.DivergedError(
                f"stage {name}: step {step} left {path} with numbers that are not finite, from a loss of "
                f"{losses[-1]:g}; {remedy}"
            )


def _said(place: int, leaves: Sequence[str]) -> str:
    if place < 0:
        return "all parameters and gradients are finite"
    what = "parameter" if place < len(leaves) else "gradient"
    return f"the first {what} that is not finite is {leaves[place % len(leaves)]}"


def _inexact(tree: Any) -> dict[str, Any]:
    values = core.values(tree)
    return {path: values[path] for path in sorted(values) if jnp.issubdtype(values[path].dtype, jnp.inexact)}
