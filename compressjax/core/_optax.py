"""A compression and an optimizer as one optax gradient transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._compression import Compression
from compressjax.core._masks import ByPath, zero_masked


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

    Args:
        compression: Any compression.
        optimizer: Any optax transformation, including `partition`, `MultiSteps` and `inject_hyperparams`.

    Returns:
        A transformation with `update(grads, state, params, stats=None, slopes=None)`; `slopes` are the gradients with
        respect to `state.compression`, for methods that learn from them.

    Raises:
        ValueError: From `update`, when `params` is absent.

    Example:
        >>> from compressjax.core import identity
        >>> import jax.numpy as jnp
        >>> tx = as_optax(identity(), optax.sgd(0.1))
        >>> state = tx.init({"kernel": jnp.ones((1, 1))})
        >>> tx.update({"kernel": jnp.ones((1, 1))}, state, {"kernel": jnp.ones((1, 1))})[0]["kernel"].shape
        (1, 1)
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> CompressedState:
        return CompressedState(optimizer.init(params), compression.init(params))

    def update(
        grads: Any, state: CompressedState, params: Any = None, *, stats: Any = None, slopes: Any = None, **extra: Any
    ) -> Any:
        if params is None:
            raise ValueError("as_optax: update needs params=; a compression depends on weights, not only on gradients")
        received, learned = compression.before_step(grads, params, state.compression, slopes)
        moving = compression.masks(params, learned).moving
        # Mask before the step instead of after the last one: the result is the same, and here the compiler fuses the
        # masks into the optimizer's pass over its moments.
        inner = _mask_moments(state.inner, params, moving)
        # Pass masked weights as zeros so that weight decay cannot enter the moments.
        updates, inner = optimizer.update(received, inner, zero_masked(params, moving), **extra)
        updates = zero_masked(updates, moving)
        moved = optax.apply_updates(params, updates)
        after, s = compression.after_step(moved, learned, stats)
        return _land(updates, params, moved, after) if compression.learns else updates, CompressedState(inner, s)

    return optax.GradientTransformationExtraArgs(init, update)


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

    return jax.tree.map(lambda x: zero_masked(x, moving) if mirrors(x) else x, inner, is_leaf=mirrors)


def _is_masked(x: Any) -> bool:
    return isinstance(x, optax.MaskedNode)
