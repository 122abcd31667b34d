"""Gradients with respect to the values of a tree, over batches and examples."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values, with_values
from compressjax.saliency._contract import Scores, wide

Loss = Callable[[Any, Any], jax.Array]


def check_batches(batches: Sequence[Any], who: str = "saliency") -> None:
    """Raises unless the batches are a nonempty sequence."""
    if not isinstance(batches, Sequence):
        raise ValueError(f"{who}: batches={batches!r:.80} must be a list of batches; wrap a single one as [batch]")
    if not batches:
        raise ValueError(f"{who}: batches is empty, and must be a list of batches; give at least one")


def sum_over(batches: Sequence[Any], f: Callable[[Any], Any], who: str = "saliency") -> Any:
    """Sum of a function over batches; batches of one shape share one trace."""
    check_batches(batches, who)
    compiled = jax.jit(f)
    total = compiled(batches[0])
    for batch in batches[1:]:
        total = jax.tree.map(jnp.add, total, compiled(batch))
    return total


def mean_over(batches: Sequence[Any], f: Callable[[Any], Any], who: str = "saliency") -> Any:
    """Mean of a function over batches; all batches have the same weight, whatever their size."""
    return jax.tree.map(lambda x: x / len(batches), sum_over(batches, f, who))


def gradients(loss: Loss, params: Any, batch: Any) -> Scores:
    """Gradient of a loss with respect to every value, also inside nodes.

    Args:
        loss: `(params, batch) -> scalar`.
        params: A tree of arrays and nodes.
        batch: Batch for the loss.

    Returns:
        `{path: gradient}`, in at least float32.

    Example:
        >>> gradients(lambda p, b: jnp.sum(p["w"] * b), {"w": jnp.ones(2)}, 3.0)["w"].tolist()
        [3.0, 3.0]
    """
    grads = jax.grad(lambda flat: loss(with_values(params, flat), batch))(values(params))
    return {path: wide(g) for path, g in grads.items()}


def example_gradients(loss: Loss, params: Any, batch: Any) -> Scores:
    """Gradient of the loss of every example.

    Args:
        loss: `(params, batch) -> scalar`; called with batches of one example.
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


def stacked_gradients(loss: Loss, params: Any, batches: Sequence[Any], who: str = "saliency") -> Scores:
    """Gradient of the loss of every example of all batches.

    Args:
        loss: `(params, batch) -> scalar`; called with batches of one example.
        params: A tree of arrays and nodes.
        batches: Pytrees of arrays `[examples, ...]`.
        who: Name of the method, for messages.

    Returns:
        `{path: [examples of all batches, *shape]}`.

    Raises:
        ValueError: If there are no batches.

    Example:
        >>> loss = lambda p, b: jnp.mean(b @ p["w"])
        >>> stacked_gradients(loss, {"w": jnp.ones(1)}, [jnp.ones((2, 1)), jnp.zeros((1, 1))])["w"].tolist()
        [[1.0], [1.0], [0.0]]
    """
    check_batches(batches, who)
    each = jax.jit(lambda batch: example_gradients(loss, params, batch))
    parts = [each(batch) for batch in batches]
    # Pop the parts, so that at most one leaf is in memory twice.
    return {path: jnp.concatenate([part.pop(path) for part in parts]) for path in list(parts[0])}


def hessian_product(loss: Loss, params: Any, batch: Any, direction: Scores) -> Scores:
    """Product of the Hessian of the loss and a direction `{path: array}`, forward over reverse."""
    flat = values(params)
    tangents = {path: direction[path].astype(x.dtype) for path, x in flat.items()}
    slope = jax.grad(lambda flat: loss(with_values(params, flat), batch))
    return {path: wide(g) for path, g in jax.jvp(slope, (flat,), (tangents,))[1].items()}
