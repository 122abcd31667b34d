"""Adapters: LoRA and DoRA beside frozen weights, and their merge."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Dense, Node, dense, is_node, nodes, ops
from compressjax.core._layout import Layouts, check_layouts, layout_of, using
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._select import Selector, kernels, matches
from compressjax.core._settings import as_int, as_number
from compressjax.core._tree import values
from compressjax.tensors import LowRank, Scaled, Sum, WeightNorm
from compressjax.tensors._weight_norm import norms


def lora(
    params: Any,
    rank: int,
    key: jax.Array,
    *,
    alpha: float | None = None,
    select: Selector = kernels,
    layout: Layouts | None = None,
) -> Any:
    """Puts trainable factors beside weights, which stay as they are.

    .. math:: W' = W + \\tfrac{\\alpha}{r} A B, \\qquad A_{ir} \\sim N(0, 1 / in), \\quad B = 0

    The tree computes what it did, until `B` moves. Weights may be nodes, such as `Quantized` (QLoRA). Train
    `adapters(tree)` alone; `merge` turns the sums into arrays.

    Args:
        params: A tree of arrays and nodes.
        rank: `r`, at least 1.
        key: Random key of `A`.
        alpha: Scale of the factors, above 0; None for `rank`, so that `alpha / r` is 1.
        select: Which leaves, as for `partition`; leaves need an input and an output axis.
        layout: As for `partition`.

    Returns:
        The tree with `Sum((W, Scaled(LowRank)))` in the place of the selected leaves.

    Raises:
        ValueError: If a setting is out of range, nothing is selected, or a leaf has no input or output axis.

    Example:
        >>> tree = lora({"kernel": jnp.ones((8, 4))}, 2, jax.random.key(0))
        >>> {path: x.shape for path, x in adapters(tree).items()}
        {'kernel/terms/1/inner/left': (8, 2), 'kernel/terms/1/inner/right': (2, 4)}
        >>> bool((merge(tree)["kernel"] == 1).all())
        True

    Source: Hu et al., arXiv:2106.09685 (hu2021lora).
    """
    return _adapted("lora", params, rank, key, alpha, select, layout, polar=False)


def dora(
    params: Any,
    rank: int,
    key: jax.Array,
    *,
    alpha: float | None = None,
    select: Selector = kernels,
    layout: Layouts | None = None,
) -> Any:
    """Puts trainable factors beside weights, and trains the length of every output apart.

    .. math:: W' = m \\frac{W + \\tfrac{\\alpha}{r} A B}{\\|W + \\tfrac{\\alpha}{r} A B\\|}, \\qquad m = \\|W\\|

    with norms over the inputs of every output. Products run on the dense sum, because the norms need it; after `merge`
    nothing of that is left. Derivatives go through the norms.

    Args:
        params: As for `lora`.
        rank: As for `lora`.
        key: As for `lora`.
        alpha: As for `lora`.
        select: As for `lora`.
        layout: As for `lora`.

    Returns:
        The tree with `WeightNorm(Sum((W, Scaled(LowRank))))` in the place of the selected leaves.

    Raises:
        ValueError: As for `lora`.

    Example:
        >>> tree = dora({"kernel": jnp.ones((9, 4))}, 2, jax.random.key(0))
        >>> sorted(adapters(tree))[-1], tree["kernel"].magnitude.tolist()
        ('kernel/magnitude', [[3.0, 3.0, 3.0, 3.0]])

    Source: Liu et al., arXiv:2402.09353 (liu2024dora).
    """
    return _adapted("dora", params, rank, key, alpha, select, layout, polar=True)


def adapters(tree: Any) -> dict[str, jax.Array]:
    """Returns what trains in a tree of `lora` or `dora`: factors and lengths, without the weights beside them.

    Args:
        tree: A tree with adapters.

    Returns:
        `{path: array}` for an optimizer; `with_values` puts them back.

    Raises:
        ValueError: If there are none.

    Example:
        >>> len(adapters(lora({"a": jnp.ones((8, 4)), "b": jnp.ones(4)}, 1, jax.random.key(0))))
        2
    """
    flat = values(tree)
    parts = {p: ("terms/1/",) if isinstance(x, Sum) else ("inner/terms/1/", "magnitude")
             for p, x in nodes(tree).items() if is_adapter(x)}  # fmt: skip
    starts = tuple(f"{path}/{part}" if path else part for path, names in parts.items() for part in names)
    if not starts:
        raise ValueError(f"adapters: the tree has none; it has {sorted(flat)[:8]}; make them with lora or dora")
    return {path: x for path, x in flat.items() if path.startswith(starts)}


def merge(tree: Any) -> Any:
    """Returns the tree with weights and their adapters as single arrays, which compute the same at no extra cost.

    Args:
        tree: A tree of `lora` or `dora`.

    Returns:
        The tree with arrays where adapters were; other leaves stay.

    Raises:
        ValueError: If there are none.

    Example:
        >>> type(merge(dora({"a": jnp.ones((8, 4))}, 1, jax.random.key(0)))["a"]).__name__
        'ArrayImpl'
    """
    adapters(tree)
    return jax.tree.map(lambda x: x.materialize() if is_adapter(x) else x, tree, is_leaf=is_node)


def is_adapter(x: Any) -> bool:
    """Whether a leaf is what `lora` or `dora` make."""
    total = x.inner if isinstance(x, WeightNorm) else x
    low = total.terms[1] if isinstance(total, Sum) and len(total.terms) == 2 else None
    return isinstance(low, Scaled) and isinstance(low.inner, LowRank)


def _adapted(
    who: str, params: Any, rank: Any, key: jax.Array, alpha: Any, select: Selector, layout: Any, *, polar: bool
) -> Any:
    r = as_int(who, "rank", rank)
    size = float(r if alpha is None else as_number(who, "alpha", alpha))
    if r < 1 or not size > 0:
        raise ValueError(f"{who}: rank={rank} must be at least 1, alpha={alpha} above 0")
    chosen = [path for path, x in nodes(params).items() if _is_weight(x) and matches(select, path, x)]
    if not chosen:
        raise ValueError(f"{who}: select={select!r} selects nothing of {sorted(nodes(params))[:8]}; fix it")
    keys = dict(zip(chosen, jax.random.split(key, len(chosen)), strict=True))

    def leaf(place: Any, x: Any) -> Any:
        path = path_string(place)
        return _beside(who, path, x, r, size / r, keys[path], polar) if path in keys else x

    with using(None if layout is None else check_layouts(layout)):
        return map_with_path(leaf, params, is_leaf=is_node)


def _is_weight(x: Any) -> bool:
    return hasattr(x, "dtype") and hasattr(x, "shape") and bool(jnp.issubdtype(x.dtype, jnp.floating))


def _beside(who: str, path: str, x: Any, rank: int, scale: float, key: jax.Array, polar: bool) -> Node:
    axes = layout_of(path, tuple(x.shape))
    if not axes.inputs or not axes.outputs:
        raise ValueError(f"{who}: {path!r} of shape {tuple(x.shape)} has no input and output axis; leave it out with "
                         "select=")  # fmt: skip
    lead, ins, outs = ([x.shape[a] for a in part] for part in axes)
    left = jax.random.normal(key, (*lead, *ins, rank), x.dtype) / np.sqrt(max(np.prod(ins), 1)).astype(x.dtype)
    low = LowRank(left, jnp.zeros((*lead, rank, *outs), x.dtype), len(ins))
    turned = ops.transpose(low, axes.inverse) if axes.order != tuple(range(x.ndim)) else low
    if isinstance(turned, Dense):
        raise ValueError(f"{who}: {path!r} of shape {tuple(x.shape)} with {axes}: {turned.reason}")
    total = Sum((x, Scaled(turned, jnp.full((1,) * x.ndim, scale, jnp.float32))))
    if not polar:
        return total
    lengths = tuple(1 if a in axes.inputs else n for a, n in enumerate(x.shape))
    return WeightNorm(total, norms(dense(x).astype(jnp.float32), lengths).astype(x.dtype))
