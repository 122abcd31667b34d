"""Operations that do not change the entries of a tensor; they act on the arrays inside a node."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

from compressjax.interpret.jaxpr._weight import varying_axes


def stop(node: Any) -> Any:
    """Stops gradients to every value of a node."""
    return jax.tree.map(jax.lax.stop_gradient, node)


def name(node: Any, label: str) -> Any:
    """Names the arrays of a node for rematerialization policies."""
    return jax.tree.map(lambda x: checkpoint_name(x, label), node)


def barrier(operands: Sequence[Any]) -> list[Any]:
    """Applies an optimization barrier to operands, some of which are nodes."""
    return list(jax.lax.optimization_barrier(list(operands)))


def vary(node: Any, axes: Sequence[str]) -> Any:
    """Marks every array of a node as varying over mesh axes, which `shard_map` requires before a product."""

    def mark(leaf: Any) -> Any:
        missing = tuple(a for a in axes if a not in varying_axes(leaf))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(mark, node)
