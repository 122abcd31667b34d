"""Loss scaling: small gradients of float16 stay above zero, and steps whose gradients overflow are skipped."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import as_int, numbers
from compressjax.precision._scaling import Scaling


class LossScaleState(NamedTuple):
    """State of `loss_scaled`.

    Attributes:
        scale: The factor of the loss, float32.
        good: Steps without overflow since the scale last changed.
        steps: Steps that were taken.
        guard: The optimizer's state, and how many steps were skipped (`total_notfinite`), as `optax.apply_if_finite`
            keeps them; so `as_optax` knows which calls were steps.
    """

    scale: jax.Array
    good: jax.Array
    steps: jax.Array
    guard: optax.ApplyIfFiniteState

    @property
    def skipped(self) -> jax.Array:
        """Steps that overflowed and changed nothing."""
        return self.guard.total_notfinite


def loss_scaled(
    optimizer: optax.GradientTransformation,
    initial: float = 2.0**15,
    *,
    interval: int | None = 2000,
    factor: float = 2.0,
    smallest: float = 1.0,
    largest: float = 2.0**127,
    axis_name: Any = None,
) -> optax.GradientTransformationExtraArgs:
    """Skips steps whose gradients overflow, counts them, and adapts the scale of the loss.

    .. math:: S \\leftarrow \\begin{cases} S / f & \\text{if a gradient is not finite} \\\\
        f S & \\text{after } n \\text{ good steps in a row} \\end{cases}

    Gradients come from `scaled_value_and_grad(loss)(scale_of(state), ...)`, which multiplies the loss by the scale and
    divides the gradients by it. A skipped call gives zero updates and leaves the optimizer's state, its count included.

    It may stand on either side of `as_optax`: the compression steps only when the optimizer does. Put it around
    `optax.MultiSteps`, `loss_scaled(MultiSteps(optimizer, k))`, which then leaves a bad micro-step out: inside, the sum
    of `MultiSteps` would be NaN from the first overflow on.

    Args:
        optimizer: Any optax transformation, or `optax.MultiSteps`.
        initial: Scale at the start, positive; powers of two keep all digits of the gradients.
        interval: Good steps `n` before the scale grows; None for a static scale.
        factor: Factor `f`, above 1.
        smallest: Least scale, positive.
        largest: Greatest scale.
        axis_name: Named axis of workers whose gradients differ, so that all skip the same steps.

    Returns:
        A transformation with the state `LossScaleState`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> tx = loss_scaled(optax.sgd(1.0), 8.0, interval=2)
        >>> params = {"w": jnp.zeros(1)}
        >>> state = tx.init(params)
        >>> for g in (jnp.inf, 1.0, 1.0):
        ...     updates, state = tx.update({"w": jnp.full(1, g)}, state, params)
        ...     print(float(updates["w"][0]), float(state.scale), int(state.steps), int(state.skipped))
        0.0 4.0 0 1
        -1.0 4.0 1 1
        -1.0 8.0 2 1

    Source: Micikevicius et al., arXiv:1710.03740 (micikevicius2018).
    """
    initial, factor, smallest, largest = numbers(
        "loss_scaled", initial=initial, factor=factor, smallest=smallest, largest=largest
    )
    interval = None if interval is None else as_int("loss_scaled", "interval", interval)
    if not 0 < smallest <= initial <= largest or not factor > 1 or (interval is not None and interval < 1):
        raise ValueError(
            f"loss_scaled: initial={initial} must lie from smallest={smallest} above 0 to largest={largest}, "
            f"factor={factor} be above 1, and interval={interval} at least 1"
        )
    inner_update = optax.with_extra_args_support(optimizer).update

    def init(params: Any) -> LossScaleState:
        # Four counters, none of them shared, so that the state can be donated.
        good, steps, in_a_row, skipped = (jnp.zeros((), jnp.int32) for _ in range(4))
        guard = optax.ApplyIfFiniteState(in_a_row, jnp.ones((), bool), skipped, optimizer.init(params))
        return LossScaleState(jnp.array(initial, jnp.float32), good, steps, guard)

    def update(grads: Any, state: LossScaleState, params: Any = None, **extra: Any) -> tuple[Any, LossScaleState]:
        finite = all_finite(grads, axis_name)
        old = state.guard.inner_state
        moved, inner = inner_update(grads, old, params, **extra)
        updates = jax.tree.map(lambda u: jnp.where(finite, u, jnp.zeros((), u.dtype)), moved)
        inner = jax.tree.map(lambda new, kept: jnp.where(finite, new, kept), inner, old)
        bad = 1 - finite.astype(jnp.int32)
        in_a_row = jnp.where(finite, 0, state.guard.notfinite_count + 1)
        guard = optax.ApplyIfFiniteState(in_a_row, finite, state.guard.total_notfinite + bad, inner)
        scale, good = state.scale, state.good
        if interval is not None:
            grown = finite & (good + 1 >= interval)
            scale = jnp.where(grown, jnp.minimum(scale * factor, largest), scale)
            scale = jnp.where(finite, scale, jnp.maximum(scale / factor, smallest))
            good = jnp.where(finite & ~grown, good + 1, 0)
        return updates, LossScaleState(scale, good, state.steps + 1 - bad, guard)

    return optax.GradientTransformationExtraArgs(init, update)


def all_finite(tree: Any, axis_name: Any = None) -> jax.Array:
    """Whether no entry of a tree is infinite or NaN, on any worker of an axis."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else jnp.ones((), bool)
    return finite if axis_name is None else jax.lax.pmin(finite.astype(jnp.int32), axis_name) > 0


def loss_scale_state(state: Any) -> LossScaleState:
    """Returns the part of an optimizer's state that `loss_scaled` keeps, at any depth.

    Args:
        state: State of `loss_scaled`, or of a transformation around it, such as `as_optax` or `optax.chain`.

    Returns:
        The state, with `scale`, `steps` and `skipped`.

    Raises:
        ValueError: If there is none, or more than one.

    Example:
        >>> tx = optax.chain(optax.clip(1.0), loss_scaled(optax.sgd(1.0), 8.0))
        >>> float(loss_scale_state(tx.init({"w": jnp.zeros(1)})).scale)
        8.0
    """
    leaves = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, LossScaleState))
    found = [x for x in leaves if isinstance(x, LossScaleState)]
    if len(found) != 1:
        raise ValueError(f"loss_scale_state: the state has {len(found)} parts of loss_scaled; wrap the optimizer once, "
                         "precision.loss_scaled(optimizer)")  # fmt: skip
    return found[0]


def scale_of(state: Any) -> jax.Array:
    """Returns the scale of the loss in an optimizer's state, at any depth.

    Args:
        state: As for `loss_scale_state`.

    Returns:
        The scale, for `scaled_value_and_grad`.

    Raises:
        ValueError: As `loss_scale_state`.

    Example:
        >>> float(scale_of(loss_scaled(optax.sgd(1.0), 8.0).init({"w": jnp.zeros(1)})))
        8.0
    """
    return loss_scale_state(state).scale


def scaled_value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, allow_int: bool = False
) -> Callable[..., Any]:
    """As `jax.value_and_grad`, with the loss multiplied by a scale, and gradients divided by it in float32.

    .. math:: g = \\nabla (S f) / S

    Args:
        fn: Function with a scalar result, or `(scalar, aux)`.
        argnums: Arguments of `fn` to differentiate.
        has_aux: As for `jax.value_and_grad`.
        allow_int: As for `jax.value_and_grad`.

    Returns:
        `run(scale, *args)`, which gives `(value, gradients)`, both without the scale. States of `delayed` among the
        gradients stay as they are.

    Example:
        >>> run = scaled_value_and_grad(lambda w: (w.astype(jnp.float16) * jnp.float16(1e-7)).astype(jnp.float32))
        >>> float(run(jnp.float32(2.0**10), jnp.float32(1e-3))[1]) > 0
        True
    """

    def scaled(scale: jax.Array, *args: Any, **kwargs: Any) -> Any:
        out = fn(*args, **kwargs)
        value, aux = out if has_aux else (out, None)
        return value.astype(jnp.float32) * scale, (value, aux)

    places = (argnums + 1,) if isinstance(argnums, int) else tuple(place + 1 for place in argnums)

    def run(scale: jax.Array, *args: Any, **kwargs: Any) -> Any:
        gradient = jax.value_and_grad(scaled, places, has_aux=True, allow_int=allow_int)
        (_, (value, aux)), grads = gradient(scale, *args, **kwargs)
        grads = jax.tree.map(lambda g: _divided(g, scale), grads, is_leaf=lambda x: isinstance(x, Scaling))
        grads = grads[0] if isinstance(argnums, int) else grads
        return ((value, aux), grads) if has_aux else (value, grads)

    return run


def _divided(g: Any, scale: jax.Array) -> Any:
    if isinstance(g, Scaling):
        return g
    return (g.astype(jnp.float32) / scale) if jnp.issubdtype(g.dtype, jnp.floating) else g
