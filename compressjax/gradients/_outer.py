"""Workers that train alone for some steps and then agree: local SGD and DiLoCo."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import as_int
from compressjax.gradients._exchange import PerWorker
from compressjax.gradients._link import Link
from compressjax.numerics import with_auto_axes


class OuterState(NamedTuple):
    """State of `diloco`: steps, inner optimizer, parameters of the last agreement, outer optimizer, exchange."""

    step: jax.Array
    inner: PerWorker
    anchor: Any
    outer: Any
    exchange: Any


def local_sgd(inner: Any, every: int, axis_name: Any = None, *, exchange: Any = None) -> optax.GradientTransformation:
    """Returns an optimizer of each worker, with an average of the parameters after every few steps.

    .. math:: \\theta_w \\leftarrow \\tfrac1n \\textstyle\\sum_v \\theta_v \\quad \\text{every } H \\text{ steps}

    Args:
        inner: Optimizer of each worker; gradients are those of the worker.
        every: Steps `H` from one average to the next, at least 1.
        axis_name: As for `exchange`.
        exchange: Transformation that averages changes of parameters, such as `exchange(top_k(0.1), axis_name)`.

    Returns:
        An optimizer; `4d / H` bytes a step without `exchange`.

    Raises:
        ValueError: If `every` is below 1; from `update`, without `params`.

    Example:
        >>> tx = local_sgd(optax.sgd(0.1), every=10)
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> int(tx.init(params).step)
        0

    Source: Stich, arXiv:1805.09767 (stich2019).
    """
    return diloco(inner, optax.sgd(1.0), every, axis_name, exchange=exchange)


def diloco(
    inner: Any, outer: Any = None, every: int = 500, axis_name: Any = None, *, exchange: Any = None
) -> optax.GradientTransformation:
    """Returns DiLoCo: after some steps alone, an outer optimizer steps along the mean change of all workers.

    .. math:: \\Delta = \\tfrac1n \\textstyle\\sum_w (\\theta - \\theta_w), \\qquad
        \\theta \\leftarrow \\theta + \\operatorname{outer}(\\Delta), \\quad \\theta_w \\leftarrow \\theta

    Between agreements the parameters of the workers differ: under `shard_map` they need a sharding over the workers, as
    the state of the inner optimizer has by `specs`.

    Args:
        inner: Optimizer of each worker, such as AdamW; gradients are those of the worker.
        outer: Optimizer of the agreement; Nesterov momentum 0.9 with rate 0.7 if None, as in the paper.
        every: Steps alone, at least 1.
        axis_name: As for `exchange`.
        exchange: Transformation that averages `Delta` by short messages; a plain mean if None.

    Returns:
        An optimizer; `4d / every` bytes a step without `exchange`.

    Raises:
        ValueError: If `every` is below 1; from `update`, without `params`.

    Example:
        >>> tx = diloco(optax.adamw(1e-3), every=100, axis_name=None)
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> updates, state = tx.update(params, tx.init(params), params)

    Source: Douillard et al., arXiv:2311.08105 (douillard2023).
    """
    every = as_int("diloco", "every", every)
    if every < 1:
        raise ValueError(f"diloco: every={every} must be at least 1")
    link, inner = Link(axis_name), optax.with_extra_args_support(inner)
    outer = optax.sgd(0.7, momentum=0.9, nesterov=True) if outer is None else outer

    def init(params: Any) -> OuterState:
        own = jax.tree.map(lambda x: jnp.asarray(x)[None], inner.init(params))
        sent = () if exchange is None else exchange.init(params)
        anchor = jax.tree.map(jnp.copy, params)
        return OuterState(jnp.zeros((), jnp.int32), PerWorker(own), anchor, outer.init(params), sent)

    def agree(params: Any, anchor: Any, second: Any, sent: Any) -> tuple[Any, Any, Any]:
        change = jax.tree.map(jnp.subtract, anchor, params)
        if exchange is None:
            change = link.mean(change)
        else:
            change, sent = exchange.update(change, sent, anchor)
        updates, second = outer.update(change, second, anchor)
        return optax.apply_updates(anchor, updates), second, sent

    def update(grads: Any, state: OuterState, params: Any = None) -> tuple[Any, OuterState]:
        if params is None:
            raise ValueError("diloco: update needs params=, because agreements are about parameters")
        updates, own = inner.update(grads, jax.tree.map(lambda x: x[0], state.inner.tree), params)
        moved = optax.apply_updates(params, updates)
        count = state.step + 1

        def apart(moved: Any, *rest: Any) -> tuple[Any, Any, Any]:
            return updates, rest, state.anchor

        def together(moved: Any, *rest: Any) -> tuple[Any, Any, Any]:
            anchor, second, sent = with_auto_axes(agree, rest)(moved, *rest)
            return jax.tree.map(lambda a, p, u: (a - p).astype(u.dtype), anchor, params, updates), (
                anchor, second, sent
            ), anchor  # fmt: skip

        args = moved, state.anchor, state.outer, state.exchange
        updates, (_, second, sent), anchor = jax.lax.cond(count % every == 0, together, apart, *args)
        own = PerWorker(jax.tree.map(lambda x: x[None], own))
        return updates, OuterState(count, own, anchor, second, sent)

    return optax.GradientTransformation(init, update)
