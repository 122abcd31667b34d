"""Proximal steps: each step ends with the proximal operator of a penalty."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Masks, dense_gradient, on_values
from compressjax.core._learn import Strength, at_step
from compressjax.core._settings import as_int
from compressjax.numerics import with_auto_axes
from compressjax.prune.patterns._checks import check_strength
from compressjax.prune.training._masking import Arrays
from compressjax.prune.training._soft_threshold import shrink
from compressjax.tensors import Masked


class ProximalState(NamedTuple):
    """State of the proximal methods: `count`, steps done."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do


def proximal_l1(strength: Strength) -> Compression:
    """Soft-thresholds every weight after each step: the proximal gradient method for an l1 penalty.

    .. math:: W \\leftarrow sign(W) \\odot relu(|W| - t), \\qquad t = \\eta \\lambda

    With SGD of learning rate `eta` this is ISTA. It reaches exact zeros, whereas the gradient of an l1 penalty only
    oscillates around them. Does not change biases. Saves bytes as `gradual`; no speed-up.

    Args:
        strength: Threshold `t` per step, at least 0: the learning rate times the penalty's factor; a number or a
            function of the step.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If the strength is negative.

    Example:
        >>> method = proximal_l1(0.5)
        >>> params = {"kernel": jnp.array([[2.0, -0.25]])}
        >>> method.after_step(params, method.init(params))[0]["kernel"].tolist()
        [[1.5, 0.0]]

    Source: Daubechies et al., arXiv:math/0307152 (daubechies2004).
    """
    return _proximal("proximal_l1", strength, 1, shrink)


def proximal_group(strength: Strength, *, axis: int = -1) -> Compression:
    """Shrinks whole units after each step: the proximal gradient method for a group lasso.

    .. math:: W_g \\leftarrow relu\\left(1 - \\frac{t \\sqrt{|g|}}{\\|W_g\\|_2}\\right) W_g

    A group `g` is all weights with one index along `axis`. Saves the bytes of the groups that become zero, whose
    positions cost almost nothing. No speed-up until `structure` removes these units from the network.

    Args:
        strength: As for `proximal_l1`; the root of the group size makes it comparable between leaves.
        axis: The axis of the groups: -1 for output units or filters, -2 for inputs.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If the strength is negative; from `after_step`, if a leaf lacks the axis.

    Example:
        >>> method = proximal_group(1.0, axis=0)
        >>> params = {"kernel": jnp.array([[3.0, 4.0], [0.6, 0.8]])}
        >>> method.after_step(params, method.init(params))[0]["kernel"][1].tolist()
        [0.0, 0.0]

    Source: Yuan and Lin, J. R. Stat. Soc. B 68 (yuan2006); in networks, Wen et al., arXiv:1608.03665 (wen2016).
    """

    axis = as_int("proximal_group", "axis", axis)

    def step(x: jax.Array, t: jax.Array) -> jax.Array:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"proximal_group: axis={axis}, but a leaf has shape {x.shape}; leave it out with only()")
        others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
        wide = x.astype(jnp.float32)
        norm = jnp.sqrt(jnp.sum(jnp.square(wide), axis=others, keepdims=True))
        bound = t * (x.size / x.shape[axis]) ** 0.5
        factor = jnp.where(norm > bound, 1 - bound / jnp.where(norm > 0, norm, 1.0), 0.0)
        return jnp.where(factor > 0, wide * factor, 0.0).astype(x.dtype)

    return _proximal(f"proximal_group(axis={axis})", strength, 1, step)


def proximal_nuclear(strength: Strength, *, every: int = 1) -> Compression:
    """Soft-thresholds singular values: the proximal gradient method for the nuclear norm, which lowers the rank.

    .. math:: W = U \\Sigma V^T \\leftarrow U\\,relu(\\Sigma - t)\\,V^T

    Leaves with more than two axes are matrices `[all other axes, out]`. The weights stay dense arrays of low rank: for
    smaller and faster factors, use `sequence(proximal_nuclear(...), lowrank.svd(energy=...))`, or `lowrank.svd`
    afterwards. A step costs an SVD, so use `every` above 1 for large leaves.

    Args:
        strength: Threshold `t`, as for `proximal_l1`, for `every` steps together.
        every: Steps between decompositions, at least 1.

    Returns:
        Compression that stores dense arrays.

    Raises:
        ValueError: If the strength is negative or `every` below 1.

    Example:
        >>> method = proximal_nuclear(1.0)
        >>> params = {"kernel": jnp.diag(jnp.array([3.0, 0.5]))}
        >>> method.after_step(params, method.init(params))[0]["kernel"].round(3).tolist()
        [[2.0, 0.0], [0.0, 0.0]]

    Source: Cai et al., arXiv:0810.3286 (cai2010).
    """

    def step(x: jax.Array, t: jax.Array) -> jax.Array:
        matrix = x.astype(jnp.float32).reshape(-1, x.shape[-1] if x.ndim else 1)
        u, s, v = jnp.linalg.svd(matrix, full_matrices=False)
        return ((u * jnp.maximum(s - t, 0.0)[None]) @ v).reshape(x.shape).astype(x.dtype)

    return _proximal("proximal_nuclear", strength, every, lambda x, t: with_auto_axes(step, x)(x, t), sparse=False)


def _proximal(
    name: str, strength: Strength, every: int, step: Callable[[jax.Array, jax.Array], jax.Array], sparse: bool = True
) -> Compression:
    strength = check_strength(name, "strength", strength, "below, weights would be pushed away from zero")
    every = as_int(name, "every", every)
    if every < 1:
        raise ValueError(f"{name}: every={every} must be at least 1")

    def after_step(flat: Arrays, state: ProximalState, stats: Any) -> tuple[Arrays, ProximalState]:
        count = state.count + 1
        t = at_step(strength, count)

        def moved() -> Arrays:
            return {path: step(x, t) for path, x in flat.items()}

        new = moved() if every == 1 else jax.lax.cond(count % every == 0, moved, lambda: flat)
        return new, ProximalState(count)

    def view(flat: Arrays, state: ProximalState) -> Arrays:
        # A zero keeps its gradient, otherwise it could never grow; -0 becomes +0.
        return dense_gradient(flat, {path: jnp.where(x == 0, jnp.zeros((), x.dtype), x) for path, x in flat.items()})

    def masks(flat: Arrays, state: ProximalState) -> Masks:
        return Masks({path: x != 0 for path, x in flat.items()}, {})

    def nodes(flat: Arrays, state: ProximalState) -> dict[str, Any]:
        return {path: Masked(flat[path], mask) for path, mask in (masks(flat, state).used or {}).items()}

    return on_values(
        name,
        init=lambda flat: ProximalState(jnp.zeros((), jnp.int32)),
        after_step=after_step,
        learns=True,
        **({"view": view, "encode": nodes, "masks": masks} if sparse else {"encode": lambda flat, state: flat}),
    )
