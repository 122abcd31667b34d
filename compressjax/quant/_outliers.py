"""A few weights exactly beside any coded form of all of them."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, dense
from compressjax.core._settings import as_number
from compressjax.numerics._top import top_mask
from compressjax.tensors import Masked, Sum


def outliers(method: Compression, share: float) -> Compression:
    """Keeps the weights exactly that a method moves the most.

    .. math:: \\hat W = Q(W) + M \\odot (W - Q(W)), \\qquad M = \\text{the } d\\,|W| \\text{ entries of largest }
        |W - Q(W)|

    Gradients of these entries pass unchanged, and those of the others through the method, so the choice follows the
    weights during training. Costs 32 bits for a kept entry and its place, 4 to 8 bits at one per cent.

    Args:
        method: Any compression that neither removes weights nor learns parameters of its own, such as `rtn`, `gptq`,
            `fake_quant`, `share.kmeans`, `share.dkm` or a method of `lowrank`.
        share: `d`, the share of the entries of every leaf, in (0, 1); at least one entry is kept.

    Returns:
        Compression whose nodes are `Sum(node of the method, Masked)`.

    Raises:
        ValueError: If `share` is out of range; if the method learns, or from `init`, if it removes weights.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.quant import rtn
        >>> kernel = jnp.array([[0.5, 0.3], [-0.8, 9.0]])
        >>> node = compress({"kernel": kernel}, {".*": outliers(rtn(2, granularity="tensor"), 0.25)})["kernel"]
        >>> node.terms[1].mask.tolist()
        [[False, False], [True, False]]
        >>> bool(node.materialize()[1, 0] == kernel[1, 0])
        True

    Source: additive combinations, Idelbayev and Carreira-Perpinan, ECML 2021 (idelbayev2021); Dettmers et al.,
    arXiv:2306.03078 (dettmers2024).
    """
    share = as_number("outliers", "share", share)
    if not 0 < share < 1:
        raise ValueError(f"outliers: share={share} must be above 0 and below 1; 0.01 keeps one weight of a hundred")
    if method.learns:
        raise ValueError(f"outliers: {method.name} learns parameters of its own, whose gradients do not pass a "
                         "correction; wrap a method that does not, such as fake_quant or dkm")  # fmt: skip

    def init(params: Any) -> Any:
        state = method.init(params)
        if method.masks(params, state).used:
            raise ValueError(f"outliers: {method.name} removes weights, and a correction would put them back; remove "
                             "fewer")  # fmt: skip
        return state

    def kept(x: jax.Array, near: jax.Array) -> jax.Array:
        return top_mask(jnp.abs(x - near).astype(jnp.float32), max(1, round(share * x.size)))

    def view(params: Any, state: Any) -> Any:
        def leaf(x: jax.Array, seen: Any) -> Any:
            if seen is x or not x.size:
                return seen
            near = dense(seen)
            fixed = jax.lax.stop_gradient(near + (x - near) - x)  # what adding up the two terms rounds
            return jnp.where(kept(*jax.lax.stop_gradient((x, near))), x + fixed, near)

        return jax.tree.map(leaf, params, method.view(params, state))

    def encode(params: Any, state: Any) -> Any:
        def leaf(x: jax.Array, node: Any) -> Any:
            if node is x or not x.size:
                return node
            near = dense(node)
            mask = kept(x, near)
            return Sum((node, Masked(jnp.where(mask, x - near, 0), mask)))

        return jax.tree.map(leaf, params, method.encode(params, state))

    return method._replace(init=init, view=view, encode=encode, name=f"outliers({method.name}, share={share})")
