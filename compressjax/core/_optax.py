"""A compression and an optimizer as one optax gradient transformation."""

import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._checks import described
from compressjax.core._compression import Compression
from compressjax.core._masks import ByPath, zero_masked
from compressjax.core._paths import path_string
from compressjax.core._steps import accumulator, check_steps, stepped
from compressjax.core._tree import values


class CompressedState(NamedTuple):
    """State of `as_optax`: that of the optimizer, and that of the compression (masks, scales, centroids)."""

    inner: Any
    compression: Any


def as_optax(
    compression: Compression, optimizer: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Combines a compression and an optimizer; masked weights and their moments never move.

    .. math:: (g', s') = before(g_t, \\theta_t, s_t), \\quad u = M_{s'}\\,opt(g'; M_{s'} m_t), \\quad
        (\\theta_{t+1}, s_{t+1}) = after(\\theta_t + u, s')

    with `M` the masks of the entries that train and `m` the moments of the optimizer, which are masked before each use.
    The returned state belongs to the parameters *after* the step. Where `after` changes an entry, the update is the
    difference to it, so that `optax.apply_updates` arrives there (exactly, if the entry is 0). All other updates are
    those of the optimizer, bit for bit.

    The compression steps when the optimizer does. Under `optax.MultiSteps` it sees the accumulated gradient, once for
    all micro-steps, exactly as in `optax.MultiSteps(as_optax(compression, optimizer), k)`; pass `stats` of all
    micro-steps with the last one. A call that `optax.apply_if_finite` rejects changes neither masks nor counts. Under
    `optax.lookahead`, parameters are `optax.LookaheadParams`: the compression acts on the fast weights, its masks on
    both.

    Args:
        compression: Any compression.
        optimizer: Any optax transformation, including `partition`, `MultiSteps`, `apply_if_finite`, `lookahead` and
            `inject_hyperparams`.

    Returns:
        A transformation with `update(grads, state, params, stats=None, slopes=None)`; `slopes` are the gradients with
        respect to `state.compression`, for methods that learn from them.

    Raises:
        ValueError: From `init`, when a wrapper in the optimizer skips steps and does not say which (`apply_every`,
            `conditionally_mask`): put it around `as_optax`. From `update`, when `params` is absent, gradients do not
            fit them, or `slopes` are given under `MultiSteps`, which does not accumulate them.

    Example:
        >>> from compressjax.core import identity
        >>> import jax.numpy as jnp
        >>> tx = as_optax(identity(), optax.sgd(0.1))
        >>> state = tx.init({"kernel": jnp.ones((1, 1))})
        >>> tx.update({"kernel": jnp.ones((1, 1))}, state, {"kernel": jnp.ones((1, 1))})[0]["kernel"].shape
        (1, 1)
    """
    _check(compression, optimizer)
    multi = accumulator(optimizer)
    if multi is not None:
        return _accumulated(compression, multi)
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> CompressedState:
        inner = optimizer.init(params)
        check_steps(inner, compression.learns, compression.name)
        return CompressedState(inner, compression.init(_fast(params)))

    def update(
        grads: Any, state: CompressedState, params: Any = None, *, stats: Any = None, slopes: Any = None, **extra: Any
    ) -> Any:
        own = _fast(params)
        _check_gradients(grads, own)
        received, learned = compression.before_step(grads, own, state.compression, slopes)
        moving = compression.masks(own, learned).moving
        # Mask before the step instead of after the last one: the result is the same, and here the compiler fuses the
        # masks into the optimizer's pass over its moments.
        inner = _mask_moments(state.inner, own, moving)
        # Pass masked weights as zeros so that weight decay cannot enter the moments.
        updates, inner = optimizer.update(received, inner, _masked(params, moving), **extra)
        real = stepped(state.inner, inner, updates)
        updates = _masked(updates, moving)
        moved = optax.apply_updates(params, updates)
        after, s = compression.after_step(_fast(moved), learned, stats)
        if compression.learns:
            landed = _land(_fast(updates), own, _fast(moved), after)
            updates = updates._replace(fast=landed) if _is_pair(updates) else landed
        if real is not None:
            # Without a step there are no updates, and everything stays what it was.
            updates = jax.tree.map(lambda u: jnp.where(real, u, jnp.zeros((), u.dtype)), updates)
            s = jax.tree.map(lambda new, old: jnp.where(real, new, old), s, state.compression)
        return updates, CompressedState(inner, s)

    return optax.GradientTransformationExtraArgs(init, update)


def _accumulated(compression: Compression, multi: optax.MultiSteps) -> optax.GradientTransformationExtraArgs:
    """`MultiSteps` around the compression, with the state that `as_optax` has around `MultiSteps`."""
    outside = copy.copy(multi)
    outside._opt = as_optax(compression, multi.inner_opt)
    if outside.inner_opt is multi.inner_opt:
        raise ValueError(
            "as_optax: this optax builds MultiSteps in another way; use optax.MultiSteps(as_optax(...), k)"
        )

    def apart(state: Any) -> CompressedState:
        own = state.inner_opt_state
        return CompressedState(state._replace(inner_opt_state=own.inner), own.compression)

    def update(
        grads: Any, state: CompressedState, params: Any = None, *, stats: Any = None, slopes: Any = None, **extra: Any
    ) -> Any:
        _check_gradients(grads, params)
        if slopes is not None:
            raise ValueError("as_optax: MultiSteps does not accumulate slopes=; average gradients and slopes over the "
                             "micro-steps, and pass both to one step of the optimizer inside")  # fmt: skip
        if not compression.learns:
            grads = zero_masked(grads, compression.masks(params, state.compression).moving)
        own = CompressedState(state.inner.inner_opt_state, state.compression)
        updates, after = outside.update(grads, state.inner._replace(inner_opt_state=own), params, stats=stats, **extra)
        return updates, apart(after)

    return optax.GradientTransformationExtraArgs(lambda params: apart(outside.init(params)), update)


def _check(compression: Any, optimizer: Any) -> None:
    if not isinstance(compression, Compression):
        swapped = isinstance(optimizer, Compression)
        raise ValueError(
            f"as_optax: the first argument is {described(compression)}, not a compression; "
            + (
                "the order is as_optax(compression, optimizer)"
                if swapped
                else "call the method, as in prune.magnitude(0.5)"
            )
        )
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise ValueError(f"as_optax: the second argument is {described(optimizer)}, not an optimizer; pass one of "
                         "optax, such as optax.adam(1e-3)")  # fmt: skip


def _check_gradients(grads: Any, params: Any) -> None:
    if params is None:
        raise ValueError("as_optax: update needs params=; a compression depends on weights, not only on gradients")
    own, received = values(params), values(grads)
    if absent := sorted(set(own) ^ set(received)):
        raise ValueError(f"as_optax: gradients and parameters do not have the same values: {absent[:8]}; pass as "
                         "params= the tree that the gradients are of")  # fmt: skip
    for path, x in own.items():
        if x.shape != received[path].shape:
            raise ValueError(f"as_optax: the gradient of {path!r} has shape {received[path].shape}, but the leaf has "
                             f"{x.shape}; pass as params= the tree that the gradients are of")  # fmt: skip


def _is_pair(params: Any) -> bool:
    return isinstance(params, optax.LookaheadParams)


def _fast(params: Any) -> Any:
    """The weights that train: the fast ones of `lookahead`."""
    return params.fast if _is_pair(params) else params


def _masked(params: Any, moving: ByPath) -> Any:
    if _is_pair(params):
        return optax.LookaheadParams(*(zero_masked(x, moving) for x in params))
    return zero_masked(params, moving)


def _land(updates: Any, params: Any, moved: Any, after: Any) -> Any:
    """Updates that arrive at `after`; those of the optimizer wherever the method changes nothing."""

    def leaf(u: jax.Array, p: jax.Array, m: jax.Array, q: jax.Array) -> jax.Array:
        if q is m:
            return u
        return jnp.where(q == m, u, (q.astype(u.dtype) - p.astype(u.dtype)))

    return jax.tree.map(leaf, updates, params, moved, after)


def _mask_moments(inner: Any, params: Any, moving: ByPath) -> Any:
    """Masks every subtree of the optimizer state that has the structure and shapes of the parameters."""
    if not moving:
        return inner
    shapes = {path: leaf.shape for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]}
    structure: Any = jax.tree.structure(params)

    def mirrors(x: Any) -> bool:
        if isinstance(x, optax.MaskedNode) or jax.tree.structure(x, is_leaf=_is_masked) != structure:
            return False
        leaves = jax.tree_util.tree_flatten_with_path(x)[0]
        return bool(leaves) and all(getattr(leaf, "shape", None) == shapes[path] for path, leaf in leaves)

    return jax.tree.map(lambda x: _coded(zero_masked(x, moving), moving) if mirrors(x) else x, inner, is_leaf=mirrors)


def _coded(moments: Any, moving: ByPath) -> Any:
    """Masks moments that are kept as integer codes, whose 0 is 0."""

    def leaf(path: Any, x: jax.Array) -> jax.Array:
        mask = moving.get(path_string(path)) if jnp.issubdtype(x.dtype, jnp.integer) else None
        return x if mask is None else jnp.where(mask, x, jnp.zeros((), x.dtype))

    return jax.tree_util.tree_map_with_path(leaf, moments)


def _is_masked(x: Any) -> bool:
    return isinstance(x, optax.MaskedNode)
