"""Deep gradient compression: top-k messages with momentum inside the memory."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Selector, kernels, values, with_values
from compressjax.core._settings import numbers
from compressjax.gradients._compressor import Draw, share_of
from compressjax.gradients._exchange import PerWorker, chosen
from compressjax.gradients._link import Link
from compressjax.gradients._sparse import top_k
from compressjax.gradients._stages import by_steps, run_stage
from compressjax.numerics import with_auto_axes


class DeepState(NamedTuple):
    """State of `deep`: steps, momentum and sums of every worker, and the momentum of leaves that are not compressed."""

    step: jax.Array
    momentum: PerWorker
    sums: PerWorker
    dense: dict[str, jax.Array]


def deep(
    share: float | Mapping[int, float] = 0.001,
    axis_name: Any = None,
    *,
    momentum: float = 0.9,
    clip: float | None = None,
    select: Selector = kernels,
) -> optax.GradientTransformation:
    """Returns deep gradient compression: momentum SGD that sends few entries, after `optax.sgd` without momentum.

    .. math:: u \\leftarrow m u + g, \\quad v \\leftarrow v + u, \\quad
        \\text{send } v \\odot M, \\quad (u, v) \\leftarrow (u, v) \\odot (1 - M)

    with `M` the mask of the largest entries of `v`. Each worker clips its gradients to `clip` over the root of the
    number of workers. Leaves that are not selected have plain momentum.

    Args:
        share: Part of the entries that is sent, in (0, 1]; or a warm-up `{first step: share}`, in the paper
            `{0: 0.25, e: 0.0625, 2 * e: 0.015625, 3 * e: 0.004, 4 * e: 0.001}` for `e` steps an epoch.
        axis_name: As for `exchange`.
        momentum: `m`, in [0, 1).
        clip: Largest norm of the whole gradient, positive; None for any.
        select: Leaves to compress.

    Returns:
        A transformation whose updates are the same on all workers; `8k` bytes to every other worker.

    Raises:
        ValueError: If an argument is out of range, or no leaf is selected.

    Example:
        >>> tx = optax.chain(deep({0: 0.25, 100: 0.01}, momentum=0.9), optax.sgd(0.1))
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> int(jnp.sum(tx.update(params, tx.init(params))[0]["kernel"] != 0))
        1

    Source: Lin et al., arXiv:1712.01887 (lin2018).
    """
    momentum, clip = numbers("deep", momentum=momentum, clip=clip)
    if not 0 <= momentum < 1 or (clip is not None and not clip > 0):
        raise ValueError(f"deep: momentum={momentum} must be in [0, 1), and clip={clip} positive or None")
    shares = by_steps("deep", "share", share, lambda x: share_of("deep", x))
    link = Link(axis_name)
    stages = {step: top_k(x).exchange for step, x in shares.items()}

    def init(params: Any) -> DeepState:
        found = chosen("deep", params, select)
        zeros = {path: jnp.zeros_like(x, jnp.float32)[None] for path, x in found.items()}
        dense = {path: jnp.zeros_like(x, jnp.float32) for path, x in values(params).items() if path not in found}
        return DeepState(jnp.zeros((), jnp.int32), PerWorker(zeros), PerWorker(jax.tree.map(jnp.copy, zeros)), dense)

    def leaf(x: jax.Array, moving: jax.Array, sums: jax.Array, step: jax.Array) -> tuple[jax.Array, ...]:
        speed = momentum * moving[0] + x
        total = sums[0] + speed
        own, mean = run_stage(step, {s: _send(f, link) for s, f in stages.items()}, total)
        kept = own == 0
        return mean, jnp.where(kept, speed, 0.0)[None], jnp.where(kept, total, 0.0)[None]

    def update(grads: Any, state: DeepState, params: Any = None) -> tuple[Any, DeepState]:
        del params
        scale = _clipping(grads, clip, link)
        moving, sums, dense, new = dict(state.momentum.tree), dict(state.sums.tree), dict(state.dense), {}
        for path, g in values(grads).items():
            x = g.astype(jnp.float32) * scale
            if path in dense:
                dense[path] = momentum * dense[path] + link.mean(x)
                new[path] = dense[path].astype(g.dtype)
                continue
            given = x, moving[path], sums[path]
            mean, moving[path], sums[path] = with_auto_axes(leaf, given)(*given, state.step)
            new[path] = mean.astype(g.dtype)
        return with_values(grads, new), DeepState(state.step + 1, PerWorker(moving), PerWorker(sums), dense)

    return optax.GradientTransformation(init, update)


def _send(exchange: Any, link: Link) -> Any:
    """An exchange of a method without randomness or state."""
    draw = Draw(jax.random.key(0), jax.random.key(0), jnp.zeros((), jnp.int32))
    return lambda x: exchange(x, (), draw, link)[:2]


def _clipping(grads: Any, clip: float | None, link: Link) -> Any:
    if clip is None:
        return 1.0
    norm = jnp.sqrt(sum(jnp.sum(x.astype(jnp.float32) ** 2) for x in values(grads).values()))
    return jnp.minimum(1.0, clip * link.size() ** -0.5 / jnp.maximum(norm, 1e-30))
