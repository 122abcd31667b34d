"""Sets the widths of an NNX module from a shrunk state, and verifies the result."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.modules._resize import difference, disagrees

_FALLBACK = "use the function that shrink returned"
Shape = tuple[int, ...]


def _last(array: Any, axes: int) -> Shape:
    """The last sizes of an array; `nnx.vmap` stacks layers along axes before them."""
    return tuple(array.shape[-axes:])


def _linear(layer: Any) -> None:
    layer.in_features, layer.out_features = _last(layer.kernel, 2)


def _general(layer: Any) -> None:
    batch, inputs = len(layer.batch_axis), len(layer.axis)
    shape = _last(layer.kernel, batch + inputs + len(layer.out_features))
    layer.batch_axis = type(layer.batch_axis)(zip(layer.batch_axis, shape))
    layer.in_features, layer.out_features = shape[batch : batch + inputs], shape[batch + inputs :]


def _conv(layer: Any) -> None:
    layer.kernel_shape = kernel = _last(layer.kernel, len(layer.kernel_shape))
    layer.in_features, layer.out_features = kernel[-2] * layer.feature_group_count, kernel[-1]


def _conv_transpose(layer: Any) -> None:
    layer.kernel_shape = kernel = _last(layer.kernel, len(layer.kernel_shape))
    layer.in_features, layer.out_features = kernel[-2:][::-1] if layer.transpose_kernel else kernel[-2:]


def _einsum(layer: Any) -> None:
    layer.kernel_shape = _last(layer.kernel, len(layer.kernel_shape))
    layer.bias_shape = None if layer.bias is None else _last(layer.bias, len(layer.bias_shape))


def _embed(layer: Any) -> None:
    layer.num_embeddings, layer.features = _last(layer.embedding, 2)


def _lora(layer: Any) -> None:
    layer.in_features, layer.out_features = layer.lora_a.shape[-2], layer.lora_b.shape[-1]


def _attention(layer: Any) -> None:
    layer.in_features, layer.num_heads, layer.head_dim = _last(layer.query.kernel, 3)
    layer.in_kv_features, layer.num_kv_heads = _last(layer.key.kernel, 3)[:2]
    layer.qkv_features, layer.out_features = layer.num_heads * layer.head_dim, layer.out.kernel.shape[-1]


def _norm(layer: Any) -> None:
    for array in (x for x in vars(layer).values() if isinstance(x, nnx.Variable)):
        layer.num_features = array.shape[-1]


def _group_norm(layer: Any) -> None:
    """Sets the number of groups; only whole groups are removed, because a smaller group has another mean."""
    for array in (x for x in (layer.scale, layer.bias) if x is not None):
        layer.num_groups = array.shape[-1] // layer.group_size


def _cell(layer: Any) -> None:
    """Sets the width of the carry, which has no array of its own."""
    inner = (layer.ii, layer.hi) if isinstance(layer, nnx.LSTMCell) else (layer.dense_i, layer.dense_h)
    layer.in_features, layer.hidden_features = (dense.kernel.shape[-2] for dense in inner)


_RULES: dict[type[nnx.Module], Callable[[Any], None]] = {
    nnx.Linear: _linear,
    nnx.LinearGeneral: _general,
    nnx.Conv: _conv,
    nnx.ConvTranspose: _conv_transpose,
    nnx.Einsum: _einsum,
    nnx.Embed: _embed,
    nnx.LoRA: _lora,
    nnx.MultiHeadAttention: _attention,
    nnx.GroupNorm: _group_norm,
    **dict.fromkeys((nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.InstanceNorm), _norm),
    **dict.fromkeys((nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell), _cell),
}


def _paths(state: Any) -> set[str]:
    return {path_string(path) for path, _ in flatten_with_path(state)[0]}


def _suspects(model: nnx.Module) -> str:
    """Modules from outside Flax that hold integers, which may be widths."""
    return ", ".join(
        f"{type(module).__name__} at {'/'.join(map(str, path)) or 'the root'}"
        for path, module in nnx.iter_graph(model)
        if isinstance(module, nnx.Module) and not type(module).__module__.startswith("flax.")
        and any(type(value) is int and value > 1 for value in vars(module).values())
    ) or "none"  # fmt: skip


def _traced(model: nnx.Module, args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """The module as a pure function of its state, checked to run."""
    definition, state = nnx.split(model)

    def call(state: Any) -> Any:
        return nnx.merge(definition, state)(*args)

    try:
        jax.eval_shape(call, state)
    except Exception as error:  # the code of the module may raise anything on shapes that do not match
        first = next(iter(str(error).splitlines()), "no message")  # an assertion may have none
        raise ValueError(
            f"the resized module does not run: {type(error).__name__}: {first}; a module of your own may store a "
            f"removed width (with integers: {_suspects(model)}): set the new width on the module first; shrink the "
            f"whole state, including statistics; or {_FALLBACK}"
        ) from error
    return call


def _count_groups(model: nnx.Module, args: tuple[Any, ...]) -> None:
    """Sets the number of groups of convolutions from their inputs, after whole groups or a part of each are removed."""
    layers = [m for _, m in nnx.iter_graph(model) if isinstance(m, nnx.Conv) and m.feature_group_count > 1]
    plain, found = [layer.conv_general_dilated for layer in layers], dict[int, int]()

    def counted(place: int) -> Callable[..., Any]:
        def call(x: Any, kernel: Any, *args: Any, feature_group_count: int, **settings: Any) -> Any:
            found[place] = groups = x.shape[-1] // kernel.shape[-2] or feature_group_count
            return plain[place](x, kernel, *args, feature_group_count=groups, **settings)

        return call

    for place, layer in enumerate(layers):
        layer.conv_general_dilated = counted(place)
    if layers:
        _traced(model, args)
    for place, layer in enumerate(layers):
        layer.conv_general_dilated = plain[place]
        layer.feature_group_count = found.get(place, layer.feature_group_count)
        _conv(layer)


def resize_nnx(model: nnx.Module, state: Any, *args: Any, expected: Any, tolerance: float = 1e-5) -> nnx.Module:
    """Returns an NNX module with a shrunk state, verified on example arguments.

    Sets the widths that layers of Flax store to the sizes of their arrays. If a module of your own stores a removed
    width, set the new width on it first.

    Args:
        model: The module of the full width; it does not change.
        state: The whole shrunk state, including statistics and keys: `params` of the result of `structure.shrink`.
        *args: Example arguments of the module.
        expected: Result of the shrunk model for them: `small.fn(small.params, *args)`.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        A new module.

    Raises:
        ValueError: If the state is incomplete (such as only `nnx.Param`), or if the module fails or its results differ
            because its code uses a width elsewhere, such as in a scale or a mean. The function that `shrink` returns
            works in all these cases.

    Example:
        >>> import jax.numpy as jnp
        >>> model = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
        >>> small = jax.tree.map(lambda x: x[..., :3], nnx.state(model))
        >>> resize_nnx(model, small, jnp.ones((1, 2)), expected=model(jnp.ones((1, 2)))[:, :3]).out_features
        3
    """
    if odd := sorted(_paths(nnx.state(model)) ^ _paths(state)):  # Flax only compares the number of leaves
        raise ValueError(f"resize_nnx: state and module disagree on {odd[:4]}; shrink the whole state, as definition, "
                         f"state = nnx.split(model) returns it, or {_FALLBACK}")  # fmt: skip
    smaller = nnx.merge(nnx.graphdef(model), state, copy=True)  # a copy, so that training keeps the state
    for _, module in nnx.iter_graph(smaller):
        for rule in [_RULES[kind] for kind in type(module).__mro__ if kind in _RULES][:1]:
            rule(module)
    _count_groups(smaller, args)
    gap = difference(jax.jit(_traced(smaller, args))(nnx.state(smaller)), expected)
    if not gap <= tolerance:
        raise ValueError(disagrees(gap))
    return smaller
