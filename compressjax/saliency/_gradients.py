"""Gradients with respect to the values of a tree, over batches and examples."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values, with_values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide

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
    """Gradient of a loss with respect to every value, also inside nodes, in at least float32."""
    grads = jax.grad(lambda flat: loss(with_values(params, flat), batch))(values(params))
    return {path: wide(g) for path, g in grads.items()}


def on_gradients(
    name: str, loss: Loss, batches: Sequence[Any], score: Callable[[jax.Array, jax.Array], jax.Array]
) -> Saliency:
    """The saliency of every value from the value and its gradient, averaged over the batches."""

    def scores(params: Any) -> Scores:
        mean = mean_over(batches, lambda batch: gradients(loss, params, batch), name)
        return {path: score(wide(x), mean[path]) for path, x in values(params).items()}

    return from_params(name, scores)


def example_gradients(loss: Loss, params: Any, batch: Any) -> Scores:
    """Gradient of the loss of every example, `{path: [examples, *shape]}`; calls the loss on batches of one."""
    return jax.vmap(lambda one: gradients(loss, params, jax.tree.map(lambda x: x[None], one)))(batch)


def squared_gradients(loss: Loss, params: Any, batches: Sequence[Any], who: str = "saliency") -> Scores:
    """Sum over all examples of the squared gradient of the loss, `{path: array of the shape of the leaf}`."""

    def squares(batch: Any) -> Scores:
        return {path: jnp.sum(g * g, axis=0) for path, g in example_gradients(loss, params, batch).items()}

    total: Scores = sum_over(batches, squares, who)
    return total


def stacked_gradients(loss: Loss, params: Any, batches: Sequence[Any], who: str = "saliency") -> Scores:
    """Gradient of the loss of every example of all batches, `{path: [examples, *shape]}`."""
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
