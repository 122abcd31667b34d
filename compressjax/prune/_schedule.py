"""How sparsity grows over the steps of a training."""

import math

import jax
import jax.numpy as jnp


def polynomial_schedule(
    step: jax.Array | int, sparsity: float, *, begin: int = 0, end: int, initial: float = 0.0, power: float = 3
) -> jax.Array:
    """Sparsity after `step` steps: fast while there is much to remove, slow at the end.

    .. math:: s_t = s_f + (s_i - s_f)\\,(1 - \\tfrac{t - t_0}{t_1 - t_0})^p, \\qquad s_t = 0 \\text{ before } t_0

    Args:
        step: Number of steps done, any integer shape; may be traced.
        sparsity: Final fraction of zeros `s_f`, in [0, 1).
        begin: First step `t_0` with zeros.
        end: Step `t_1` from which the sparsity is final.
        initial: Fraction of zeros `s_i` at `begin`.
        power: Exponent, 3 in the paper.

    Returns:
        float32 array of the shape of `step`.

    Raises:
        ValueError: If `end` is before `begin`, or `power` is not positive.

    Example:
        >>> polynomial_schedule(jnp.array([0, 50, 100]), 0.8, end=100).tolist()
        [0.0, 0.699..., 0.800...]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017).
    """
    gone = progress(step, begin, end, power)
    return jnp.where(jnp.asarray(step) < begin, 0.0, initial + (sparsity - initial) * gone)


def progress(step: jax.Array | int, begin: int, end: int, power: float) -> jax.Array:
    """Fraction of the way from the first to the last sparsity, `1 - (1 - (t - t_0) / (t_1 - t_0))^p`.

    Args:
        step: Number of steps done; may be traced.
        begin: Step at which the fraction is 0.
        end: Step from which the fraction is 1.
        power: Positive exponent.

    Returns:
        float32 array of the shape of `step`, in [0, 1].

    Raises:
        ValueError: If `end` is before `begin`, or `power` is not positive.

    Example:
        >>> progress(5, 0, 10, 1).item()
        0.5
    """
    if end < begin:
        raise ValueError(f"pruning would end at step {end}, before it begins at {begin}; give end >= begin")
    if not 0 < power < math.inf:
        raise ValueError(f"power={power} must be positive and finite; the paper has 3")
    left = jnp.clip((end - jnp.asarray(step, jnp.float32)) / max(end - begin, 1), 0.0, 1.0)
    # With end == begin the schedule is a jump; the division above cannot tell the step itself from the one before.
    left = jnp.where(jnp.asarray(step) >= end, 0.0, left)
    return 1.0 - left**power
