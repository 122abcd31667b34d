"""An NNX module on a shrunk state, with the widths that its layers remember brought up to date."""

import math
from typing import Any

from flax import nnx


def _linear(layer: Any, kernel: tuple[int, ...]) -> None:
    layer.in_features, layer.out_features = kernel


def _general(layer: Any, kernel: tuple[int, ...]) -> None:
    inputs = len(layer.in_features) if isinstance(layer.in_features, tuple) else 1
    new = kernel[:inputs], kernel[inputs:]
    layer.in_features, layer.out_features = new


def _conv(layer: Any, kernel: tuple[int, ...]) -> None:
    """Of grouped convolutions whole groups are cut; each keeps its inputs and outputs."""
    groups = layer.feature_group_count
    if groups > 1:
        groups = kernel[-1] // (layer.out_features // groups) if kernel[-2] * groups == layer.in_features else groups
        layer.feature_group_count = groups
    layer.in_features, layer.out_features = kernel[-2] * groups, kernel[-1]
    if hasattr(layer, "kernel_shape"):
        layer.kernel_shape = kernel


def _update(module: Any) -> None:
    kernel = getattr(module, "kernel", None)
    shape = tuple(kernel.shape) if isinstance(kernel, nnx.Variable) else ()
    if isinstance(module, nnx.Linear):
        _linear(module, shape)
    elif isinstance(module, nnx.LinearGeneral):
        _general(module, shape)
    elif isinstance(module, nnx.Conv):
        _conv(module, shape)
    elif isinstance(module, nnx.Embed):
        module.num_embeddings, module.features = module.embedding.shape
    elif isinstance(module, nnx.MultiHeadAttention):
        inputs, heads, size = module.query.kernel.shape
        module.in_features, module.num_heads, module.head_dim = inputs, heads, size
        module.qkv_features, module.out_features = heads * size, module.out.kernel.shape[-1]
    elif hasattr(module, "num_features"):
        sizes = [v.shape for v in vars(module).values() if isinstance(v, nnx.Variable) and hasattr(v, "shape")]
        if sizes:
            module.num_features = math.prod(sizes[0])


def resize_nnx(model: nnx.Module, state: Any) -> nnx.Module:
    """An NNX module that holds a shrunk state.

    `Linear`, `LinearGeneral`, `Conv`, `Embed`, norms and `MultiHeadAttention` remember their widths; these are set to
    what the arrays say. Widths that a module of your own remembers are yours to set.

    Args:
        model: The module of the full width; it stays as it is.
        state: Shrunk state, as `structure.shrink` returns it in `params` for a function that merges a state.

    Returns:
        A new module.

    Example:
        >>> import jax
        >>> model = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
        >>> small = jax.tree.map(lambda x: x[..., :3], nnx.state(model))
        >>> resize_nnx(model, small).out_features
        3
    """
    smaller = nnx.merge(nnx.graphdef(model), state)
    for _, node in nnx.iter_graph(smaller):
        if isinstance(node, nnx.Module):
            _update(node)
    return smaller
