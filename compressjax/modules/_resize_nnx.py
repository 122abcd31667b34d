"""An NNX module on a shrunk state: layers of Flax take their widths from their arrays, and the result is verified."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.core import path_string
from compressjax.modules._resize import difference, disagrees

_WAY_OUT = "the function that shrink returned runs as it is"
Shape = tuple[int, ...]


def _last(array: Any, axes: int) -> Shape:
    """The last sizes of an array; layers that `nnx.vmap` made are stacked along axes before them."""
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
    """Whole groups are cut: a smaller group has another mean, which the layer does not compute."""
    for array in (x for x in (layer.scale, layer.bias) if x is not None):
        layer.num_groups = array.shape[-1] // layer.group_size


def _cell(layer: Any) -> None:
    """Sets the width of the carry, which no array holds."""
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
    return {path_string(path) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]}


def _suspects(model: nnx.Module) -> str:
    """The modules that are not Flax's own and hold integers, which may be widths."""
    return ", ".join(
        f"{type(module).__name__} at {'/'.join(map(str, path)) or 'the root'}"
        for path, module in nnx.iter_graph(model)
        if isinstance(module, nnx.Module) and not type(module).__module__.startswith("flax.")
        and any(type(value) is int and value > 1 for value in vars(module).values())
    ) or "none"  # fmt: skip


def _traced(model: nnx.Module, args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """The module as a function of its state, so that what it counts or averages stays as it is, once it runs."""
    definition, state = nnx.split(model)

    def call(state: Any) -> Any:
        return nnx.merge(definition, state)(*args)

    try:
        jax.eval_shape(call, state)
    except Exception as refusal:  # shapes that do not fit raise what the module's code chooses
        said = next(iter(str(refusal).splitlines()), "no message")  # as of an assertion
        raise ValueError(
            f"the resized module does not run: {type(refusal).__name__}: {said}; a module of your own may remember a "
            f"width that was cut (with integers: {_suspects(model)}): set the new one on the module first; shrink the "
            f"whole state, statistics included; or {_WAY_OUT}"
        ) from refusal
    return call


def _count_groups(model: nnx.Module, args: tuple[Any, ...]) -> None:
    """Sets the groups of convolutions to what fits their inputs: whole groups may be gone, or a part of each."""
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
    """An NNX module that holds a shrunk state, verified on example arguments.

    The layers of Flax remember their widths; these are set to the sizes of their arrays, and the groups of a
    convolution to what fits its inputs. A module of your own that remembers a width that was cut does not run or
    computes something else, and is refused: set the new one on it first.

    Args:
        model: The module of the full width; it stays as it is.
        state: Shrunk state, as `structure.shrink` returns it in `params` for a function that merges a state; all of it,
            with statistics and keys.
        *args: Example arguments of the module.
        expected: What the shrunk model returns for them: `small.fn(small.params, *args)`.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        A new module.

    Raises:
        ValueError: If the state is not the whole one (filtered to `nnx.Param`, say), or if the module does not run or
            computes something else because its code uses a width otherwise, as in a scale or a mean. The function that
            `shrink` returns runs in all these cases.

    Example:
        >>> import jax.numpy as jnp
        >>> model = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
        >>> small = jax.tree.map(lambda x: x[..., :3], nnx.state(model))
        >>> resize_nnx(model, small, jnp.ones((1, 2)), expected=model(jnp.ones((1, 2)))[:, :3]).out_features
        3
    """
    if odd := sorted(_paths(nnx.state(model)) ^ _paths(state)):  # Flax only counts the leaves
        raise ValueError(f"resize_nnx: state and module disagree on {odd[:4]}; shrink the whole state, as definition, "
                         f"state = nnx.split(model) gives it, or {_WAY_OUT}")  # fmt: skip
    smaller = nnx.merge(nnx.graphdef(model), state, copy=True)  # or training it would change the state
    for _, module in nnx.iter_graph(smaller):
        for rule in [_RULES[kind] for kind in type(module).__mro__ if kind in _RULES][:1]:
            rule(module)
    _count_groups(smaller, args)
    gap = difference(jax.jit(_traced(smaller, args))(nnx.state(smaller)), expected)
    if not gap <= tolerance:
        raise ValueError(disagrees(gap))
    return smaller
