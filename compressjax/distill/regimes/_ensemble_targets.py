"""Several teachers as one."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete
from compressjax.distill._pairs import log_soft, temperature_of


def ensemble_targets(
    logits: Sequence[jax.Array], *, mean: str = "probabilities", temperature: Any = 1.0, weights: Any = None
) -> jax.Array:
    """Returns the logits of an ensemble of teachers, for any loss that takes logits of one teacher.

    .. math:: v = T \\log \\sum_k w_k\\, p_{k,T} \\quad \\text{or} \\quad v = \\sum_k w_k v_k, \\qquad \\sum_k w_k = 1

    With `mean="probabilities"`, `soft_targets(v, temperature)` is the mean of the teachers' probabilities at this
    temperature: give the loss the same. The mean of logits is a geometric mean of probabilities, at every temperature.

    Args:
        logits: One array `[..., classes]` a teacher, of one shape, any floating-point dtype.
        mean: `"probabilities"` or `"logits"`.
        temperature: `T`, above 0, for the mean of probabilities; may be traced.
        weights: Per teacher, or for every example `[teachers, ...]`, at least 0 and not all 0; they are divided by
            their sum. What a teacher of weight 0 says does not matter. None weighs all alike. Traced ones are not
            checked: targets of an example without any weight are NaN.

    Returns:
        `[..., classes]`, float32, without a gradient.

    Raises:
        ValueError: If there is no teacher, shapes or weights do not match, or a setting is out of range.

    Example:
        >>> v = ensemble_targets([jnp.log(jnp.array([0.9, 0.1])), jnp.log(jnp.array([0.5, 0.5]))])
        >>> [round(p, 4) for p in jax.nn.softmax(v).tolist()]
        [0.7, 0.3]

    Source: Hinton et al., arXiv:1503.02531 (hinton2015).
    """
    who = "ensemble_targets"
    shapes = [jnp.shape(x) for x in logits]
    if not shapes or len(set(shapes)) > 1 or not shapes[0]:
        raise ValueError(f"{who}: logits {shapes} must be of one or more teachers, all [..., classes] of one shape")
    check_mean(who, mean)
    temperature = temperature_of(who, temperature)
    shares = _shares(who, weights, len(shapes), shapes[0])
    stacked = jax.lax.stop_gradient(jnp.stack([jnp.asarray(x).astype(jnp.float32) for x in logits]))
    stacked = jnp.where(shares > 0, stacked, 0.0)
    if mean == "logits":
        return jnp.sum(jnp.where(shares > 0, shares * stacked, 0.0), axis=0)
    return temperature * jax.nn.logsumexp(log_soft(stacked, temperature), axis=0, b=shares)


def check_mean(who: str, mean: str) -> None:
    """Raises on a mean that is unknown."""
    if mean not in ("probabilities", "logits"):
        raise ValueError(f"{who}: mean={mean!r} is unknown; use 'probabilities' or 'logits'")


def _shares(who: str, weights: Any, teachers: int, shape: tuple[int, ...]) -> jax.Array:
    """Weights `[teachers, ..., 1]` of sum 1, of which all later axes may be 1."""
    given = jnp.ones(teachers, jnp.float32) if weights is None else jnp.asarray(weights).astype(jnp.float32)
    if given.shape not in ((teachers,), (teachers, *shape[:-1])):
        raise ValueError(
            f"{who}: weights {given.shape} must be one number a teacher, [{teachers}], or [{teachers}, ...] with one "
            f"for every example of {shape[:-1]}"
        )
    if is_concrete(given):
        found = np.asarray(given)
        if not np.all((found >= 0) & (found < np.inf)):
            raise ValueError(
                f"{who}: weights has {found[~((found >= 0) & (found < np.inf))][0]:g}; weights are finite and 0 or more"
            )
        if not np.all(found.sum(0) > 0):
            where = "" if found.ndim == 1 else f" for example {tuple(np.argwhere(found.sum(0) == 0)[0].tolist())}"
            raise ValueError(f"{who}: all weights are 0{where}; give at least one teacher a weight above 0")
    given = jnp.reshape(given, given.shape + (1,) * (len(shape) + 1 - given.ndim))
    return jax.lax.stop_gradient(jnp.broadcast_to(given / jnp.sum(given, axis=0, keepdims=True), (teachers, *shape)))
