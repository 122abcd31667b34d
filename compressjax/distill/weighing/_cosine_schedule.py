"""A schedule from one value to another along half a cosine."""

import math
from typing import Any

import jax.numpy as jnp
import optax

from compressjax.core._settings import as_int, as_number


def cosine_schedule(
    init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> optax.Schedule:
    """Returns a schedule of a temperature or of the weight of a loss, along half a cosine, up or down.

    .. math:: v(t) = v_1 + (v_0 - v_1) \\frac{1 + \\cos(\\pi\\, clip((t - b) / n, 0, 1))}{2}

    It stands beside the schedules of optax (`linear_schedule`, `polynomial_schedule`, `piecewise_constant_schedule`,
    `join_schedules`), of which the cosine only goes down. All are functions of the step, and losses take their traced
    values: `soft_target_loss(student, teacher, labels, alpha=schedule(step))`.

    Args:
        init_value: `v_0`, before `transition_begin`.
        end_value: `v_1`, after the transition.
        transition_steps: `n`, at least 1.
        transition_begin: `b`, at least 0.

    Returns:
        Function of the step, which may be traced.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> [round(float(cosine_schedule(0.9, 0.5, 4)(step)), 3) for step in range(6)]
        [0.9, 0.841, 0.7, 0.559, 0.5, 0.5]
    """
    who = "cosine_schedule"
    start, end = as_number(who, "init_value", init_value), as_number(who, "end_value", end_value)
    steps, begin = as_int(who, "transition_steps", transition_steps), as_int(who, "transition_begin", transition_begin)
    if steps < 1 or begin < 0:
        raise ValueError(f"{who}: transition_steps={steps} must be at least 1, and transition_begin={begin} at least 0")

    def schedule(count: Any) -> Any:
        done = jnp.clip((jnp.asarray(count, jnp.float32) - begin) / steps, 0.0, 1.0)
        return end + (start - end) * 0.5 * (1.0 + jnp.cos(math.pi * done))

    return schedule
