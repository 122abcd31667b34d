"""Weights of several losses against each other."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_LEAST = 1e-30  # mean ratio


class Balance(NamedTuple):
    """Running statistics of losses, `{name: scalar}` each.

    Attributes:
        step: Number of steps so far.
        mean: Mean of every loss.
        ratio: Mean of every loss over its earlier mean.
        spread: Sum of squared deviations of that ratio.
    """

    step: jax.Array
    mean: dict[str, jax.Array]
    ratio: dict[str, jax.Array]
    spread: dict[str, jax.Array]


def init_balance(names: Iterable[str]) -> Balance:
    """Returns the state of `balance` before the first step.

    Args:
        names: Names of the losses.

    Returns:
        `Balance`.

    Raises:
        ValueError: If there are no names.

    Example:
        >>> sorted(init_balance(["soft", "hint"]).mean)
        ['hint', 'soft']

    Source: Groenendijk et al., arXiv:2009.01717 (groenendijk2020).
    """
    names = list(names)
    if not names:
        raise ValueError("init_balance: there are no losses; give their names")
    mean, ratio, spread = ({name: jnp.zeros((), jnp.float32) for name in names} for _ in range(3))
    return Balance(jnp.zeros((), jnp.int32), mean, ratio, spread)


def balance(losses: Mapping[str, jax.Array], state: Balance) -> tuple[jax.Array, Balance]:
    """Returns the sum of losses, each weighted by how much it still varies: coefficients of variation.

    .. math:: L = \\sum_i \\alpha_i L_i, \\quad \\alpha_i = c_i / \\sum_j c_j, \\quad c_i = \\sigma(l_i) / \\mu(l_i),
        \\quad l_i(t) = L_i(t) / \\mu_{L_i}(t - 1)

    with running means and deviations of the steps before. The scale of a loss cancels, so that no weights need to be
    tuned. In the first two steps, and while nothing varies, all losses have the same weight. No gradient flows through
    the weights. A step with a loss that is not finite leaves the state as it was.

    Args:
        losses: `{name: scalar}`, above 0.
        state: From `init_balance`, or the last call.

    Returns:
        The weighted sum, float32, and the next state.

    Raises:
        ValueError: If the names differ from those of the state.

    Example:
        >>> total, state = balance({"soft": 3.0, "hint": 1.0}, init_balance(["soft", "hint"]))
        >>> total.item()
        2.0

    Source: Groenendijk et al., arXiv:2009.01717 (groenendijk2020).
    """
    if set(losses) != set(state.mean):
        raise ValueError(f"balance: losses {sorted(losses)} and state {sorted(state.mean)} differ; use the same names")
    values = {name: jnp.asarray(x).astype(jnp.float32) for name, x in losses.items()}
    fixed = jax.lax.stop_gradient(values)
    count = jnp.maximum(state.step, 1).astype(jnp.float32)
    varied = {k: jnp.sqrt(state.spread[k] / count) / jnp.maximum(state.ratio[k], _LEAST) for k in fixed}
    total = sum(varied.values(), jnp.zeros((), jnp.float32))
    ready = total > 0  # from the third step on, because a single ratio does not vary
    alphas = {k: jnp.where(ready, x / jnp.where(ready, total, 1.0), 1.0 / len(varied)) for k, x in varied.items()}
    step = (state.step + 1).astype(jnp.float32)
    means, ratios, spreads = {}, {}, {}
    for name, x in fixed.items():
        earlier = state.mean[name]
        # The first loss has no earlier mean: its ratio is 1.
        relative = jnp.where(earlier > 0, x / jnp.where(earlier > 0, earlier, 1.0), 1.0)
        means[name] = earlier + (x - earlier) / step
        ratios[name] = state.ratio[name] + (relative - state.ratio[name]) / step
        spreads[name] = state.spread[name] + (relative - state.ratio[name]) * (relative - ratios[name])
    added = sum((alphas[name] * x for name, x in values.items()), jnp.zeros((), jnp.float32))
    # One such loss would stay in the means for ever.
    finite = jnp.all(jnp.isfinite(jnp.stack(list(fixed.values()))))
    after = Balance(state.step + 1, means, ratios, spreads)
    return added, jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)


def init_uncertainty(names: Iterable[str]) -> dict[str, jax.Array]:
    """Returns the logarithms of variances that `uncertainty_loss` trains, at 0: all losses count alike.

    Args:
        names: Names of the losses.

    Returns:
        `{name: scalar}`, float32.

    Raises:
        ValueError: If there are no names.

    Example:
        >>> init_uncertainty(["soft"])["soft"].item()
        0.0

    Source: Kendall et al., arXiv:1705.07115 (kendall2017).
    """
    names = list(names)
    if not names:
        raise ValueError("init_uncertainty: there are no losses; give their names")
    return {name: jnp.zeros((), jnp.float32) for name in names}


def uncertainty_loss(losses: Mapping[str, Any], log_variances: Mapping[str, Any]) -> jax.Array:
    """Returns the sum of losses, each weighted by a variance that is trained with the student.

    .. math:: L = \\sum_i \\frac{1}{2} (e^{-s_i} L_i + s_i), \\quad s_i = \\log \\sigma_i^2

    Args:
        losses: `{name: scalar}`.
        log_variances: From `init_uncertainty`; give them to the optimizer, without weight decay.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If the names differ.

    Example:
        >>> uncertainty_loss({"soft": 3.0, "hint": 1.0}, init_uncertainty(["soft", "hint"])).item()
        2.0

    Source: Kendall et al., arXiv:1705.07115 (kendall2017).
    """
    if set(losses) != set(log_variances):
        raise ValueError(f"uncertainty_loss: losses {sorted(losses)} and variances {sorted(log_variances)} differ; use "
                         "the same names")  # fmt: skip
    total = jnp.zeros((), jnp.float32)
    for name, x in losses.items():
        s = jnp.asarray(log_variances[name]).astype(jnp.float32)
        total = total + 0.5 * (jnp.exp(-s) * jnp.asarray(x).astype(jnp.float32) + s)
    return total
