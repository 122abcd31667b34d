"""Products in 8-bit floats whose scales come from earlier steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from compressjax.core._settings import integers, numbers
from compressjax.precision._mixed import sites, with_states
from compressjax.precision._policy import Policy, as_policy
from compressjax.precision._scaling import Delay, Scaling


class Delayed(NamedTuple):
    """A function in 8-bit floats with delayed scaling.

    Attributes:
        init: `init(*args, **kwargs) -> states`, from example arguments, concrete or abstract.
        apply: `apply(states, *args, **kwargs)`: the function's result. Its gradient with respect to `states` is the new
            states.
    """

    init: Callable[..., dict[str, Scaling]]
    apply: Callable[..., Any]


def delayed(
    fn: Callable[..., Any], policy: Policy | str = "fp8", *, history: int = 16, margin: float = 0.0,
    axis_name: Any = None,
) -> Delayed:  # fmt: skip
    """Transforms a function so that its products run in 8-bit floats, with scales from the history of magnitudes.

    .. math:: s_t = \\frac{2^m}{q_{max}} \\max_{t - h \\le i < t} \\max |x_i|, \\qquad
        \\hat x_t = s_t\\, round(x_t / s_t)

    Both operands and the gradient of the result have a scale for each product. The scales are known before a step
    starts, so that no pass over a tensor is needed before it is rounded; what is larger than expected is clipped.
    The new states are what `jax.grad` gives as the gradient of the old ones. Every iteration of a `scan` has states of
    its own. Inside branches, `while` loops and `shard_map`, products scale by themselves, as in `mixed`. Under `vmap`,
    map the states too. `modules.Delayed` and `modules.NNXDelayed` keep the states in variables of a Flax module.

    Args:
        fn: Any JAX function.
        policy: A policy whose compute format is an 8-bit float; `"fp8"` is e4m3 forward and e5m2 back.
        history: Steps `h` that are remembered, at least 1.
        margin: Powers of two `m` by which scales are larger than needed.
        axis_name: Named axis of workers with different data, so that all have the same scales.

    Returns:
        Its `init` and `apply`.

    Raises:
        ValueError: If an argument is out of range, or the policy has no 8-bit float; from `init`, if the function has
            no product; from `apply`, if the states are of other products.

    Example:
        >>> import jax
        >>> run = delayed(lambda w, x: (x @ w).sum())
        >>> w, x = jnp.full((2, 1), 3.0), jnp.ones((1, 2))
        >>> states = run.init(w, x)
        >>> grad = jax.jit(jax.grad(run.apply, argnums=(1, 0)))
        >>> for _ in range(2):
        ...     _, states = grad(states, w, x)
        >>> (states["000.dot_general"].scale * 448).tolist()[:2]  # of x and w
        [1.0, 3.0]

    Source: Micikevicius et al., arXiv:2209.05433 (micikevicius2022).
    """
    chosen = as_policy("delayed", policy)
    (history,), (margin,) = integers("delayed", history=history), numbers("delayed", margin=margin)
    if not (chosen.compute.scaled and chosen.gradients.scaled):
        raise ValueError(f"delayed: compute={chosen.compute.name!r} has no scales; use policy('fp8'), or mixed")
    if history < 1 or not 0 <= margin <= 16:
        raise ValueError(f"delayed: history={history} must be at least 1, and margin={margin} from 0 to 16")
    delay = Delay(float(margin), axis_name)

    def init(*args: Any, **kwargs: Any) -> dict[str, Scaling]:
        found = sites(fn, args, kwargs, chosen)
        if not found:
            raise ValueError("delayed: the function has no product outside of branches and open loops; use mixed")
        return {site: Scaling(jnp.ones((*lead, 3)), jnp.zeros((*lead, 3, history))) for site, lead in found.items()}

    def apply(states: dict[str, Scaling], *args: Any, **kwargs: Any) -> Any:
        return with_states(fn, chosen, delay, states, args, kwargs)

    return Delayed(init, apply)
