"""Gradients with respect to the values of a tree, over batches and examples."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values, with_values
from compressjax.saliency._contract import Scores, wide

Loss = Callable[[Any, Any], jax.Array]


def mean_over(batches: Sequence[Any], f: Callable[[Any], Any]) -> Any:
    """Mean of a function of batches; batches of one shape share one trace.

    Args:
        batches: One pytree of arrays a batch.
        f: `batch -> tree of arrays`.

    Returns:
        The mean, entry by entry.

    Raises:
        ValueError: If there are no batches.

    Example:
        >>> mean_over([jnp.ones(2), jnp.zeros(2)], lambda batch: batch).tolist()
        [0.5, 0.5]
    """
    if not isinstance(batches, Sequence) or not batches:
        raise ValueError(f"batches={batches!r:.80} must be a list of batches; wrap a single one as [batch]")
    compiled = jax.jit(f)
    total = compiled(batches[0])
    for batch in batches[1:]:
        total = jax.tree.map(jnp.add, total, compiled(batch))
    return jax.tree.map(lambda x: x / len(batches), total)


def gradients(loss: Loss, params: Any, batch: Any) -> Scores:
    """Gradient of a loss with respect to every value, inside nodes too.

    Args:
        loss: `(params, batch) -> scalar`.
        params: A tree of arrays and nodes.
        batch: What the loss takes.

    Returns:
        `{path: gradient}`, in at least float32.

    Example:
        >>> gradients(lambda p, b: jnp.sum(p["w"] * b), {"w": jnp.ones(2)}, 3.0)["w"].tolist()
        [3.0, 3.0]
    """
    grads = jax.grad(lambda flat: loss(with_values(params, flat), batch))(values(params))
    return {path: wide(g) for path, g in grads.items()}


def example_gradients(loss: Loss, params: Any, batch: Any) -> Scores:
    """Gradient of every example's own loss.

    Args:
        loss: `(params, batch) -> scalar`; it is called with batches of one example.
        params: A tree of arrays and nodes.
        batch: Pytree of arrays `[examples, ...]`.

    Returns:
        `{path: [examples, *shape]}`.

    Example:
        >>> loss = lambda p, b: jnp.mean(b @ p["w"])
        >>> example_gradients(loss, {"w": jnp.ones(1)}, jnp.array([[1.0], [2.0]]))["w"].tolist()
        [[1.0], [2.0]]
    """
    return jax.vmap(lambda one: gradients(loss, params, jax.tree.map(lambda x: x[None], one)))(batch)


def hessian_product(loss: Loss, params: Any, batch: Any, direction: Scores) -> Scores:
    """Product of the loss's Hessian and a direction, forward over reverse.

    Args:
        loss: `(params, batch) -> scalar`.
        params: A tree of arrays and nodes.
        batch: What the loss takes.
        direction: `{path: array}` of every value.

    Returns:
        `{path: H d}`.

    Example:
        >>> loss = lambda p, b: jnp.sum(b * p["w"] ** 2)
        >>> hessian_product(loss, {"w": jnp.ones(2)}, 3.0, {"w": jnp.array([1.0, 2.0])})["w"].tolist()
        [6.0, 12.0]
    """
    flat = values(params)
    tangents = {path: direction[path].astype(x.dtype) for path, x in flat.items()}
    slope = jax.grad(lambda flat: loss(with_values(params, flat), batch))
    return {path: wide(g) for path, g in jax.jvp(slope, (flat,), (tangents,))[1].items()}
