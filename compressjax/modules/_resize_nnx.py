"""An NNX module on a shrunk state, with the widths that its layers remember brought up to date."""

import math
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from compressjax.modules._grouped_nnx import counting, group_counts
from compressjax.modules._remembered_nnx import flat, held, refuse_lost, remembered
from compressjax.modules._resize import agree

_WAY_OUT = "the function that shrink returned runs as it is"
_WHOLE = "shrink the whole state, as definition, state = nnx.split(model) gives it"


def _same_paths(model: nnx.Module, state: Any) -> None:
    """Flax only counts the leaves, and what a filter left out was not cut."""
    asked, given = flat(nnx.state(model)), flat(state)
    if lacks := [path for path in asked if path not in given]:
        raise ValueError(f"resize_nnx: the state lacks {lacks[:4]}, {len(lacks)} of the module's {len(asked)} arrays; "
                         f"{_WHOLE}, or {_WAY_OUT}")  # fmt: skip
    if more := [path for path in given if path not in asked]:
        raise ValueError(f"resize_nnx: the state has {more[:4]}, which the module does not hold; {_WHOLE}")


def _linear(layer: Any) -> None:
    layer.in_features, layer.out_features = layer.kernel.shape


def _general(layer: Any) -> None:
    shape, batch, inputs = tuple(layer.kernel.shape), len(layer.batch_axis), len(layer.axis)
    layer.batch_axis = type(layer.batch_axis)(zip(layer.batch_axis, shape))
    layer.in_features, layer.out_features = shape[batch : batch + inputs], shape[batch + inputs :]


def _conv(layer: Any) -> None:
    kernel, counts = tuple(layer.kernel.shape), group_counts(layer)
    if len(counts) != 1:
        raise ValueError(
            f"its kernel {tuple(layer.kernel_shape)} of {layer.feature_group_count} groups is now {kernel}, which "
            f"fits {' or '.join(map(str, counts)) or 'no number of'} groups; give example arguments that reach it, or "
            "set its new out_features and feature_group_count on the module first"
        )
    layer.feature_group_count = groups = counts[0]
    layer.in_features, layer.out_features = kernel[-2] * groups, kernel[-1]
    layer.kernel_shape = kernel


def _conv_transpose(layer: Any) -> None:
    layer.kernel_shape = kernel = tuple(layer.kernel.shape)
    layer.in_features, layer.out_features = kernel[-2:][::-1] if layer.transpose_kernel else kernel[-2:]


def _einsum(layer: Any) -> None:
    layer.kernel_shape = tuple(layer.kernel.shape)
    layer.bias_shape = None if layer.bias is None else tuple(layer.bias.shape)


def _embed(layer: Any) -> None:
    layer.num_embeddings, layer.features = layer.embedding.shape


def _lora(layer: Any) -> None:
    layer.in_features, layer.out_features = layer.lora_a.shape[0], layer.lora_b.shape[-1]


def _attention(layer: Any) -> None:
    inputs, heads, size = layer.query.kernel.shape
    layer.in_features, layer.num_heads, layer.head_dim = inputs, heads, size
    layer.in_kv_features, layer.num_kv_heads = layer.key.kernel.shape[:2]
    layer.qkv_features, layer.out_features = heads * size, layer.out.kernel.shape[-1]


def _norm(layer: Any) -> None:
    widths = sorted({math.prod(shape) for shape in held(layer).values()})
    if len(widths) > 1:
        raise ValueError(f"its arrays have the widths {widths}; {_WHOLE}")
    for width in widths:
        layer.num_features = width


def _group_norm(layer: Any) -> None:
    """Whole groups are cut: fewer channels in a group have another mean, which the layer does not compute."""
    for (features,) in held(layer).values():
        groups, rest = divmod(features, layer.group_size)
        if rest:
            raise ValueError(f"{features} channels are no whole groups of {layer.group_size}; cut whole groups")
        layer.num_groups = groups


def _cell(layer: Any) -> None:
    """The carry has a width of its own, which no array holds."""
    inner = (layer.ii, layer.hi) if isinstance(layer, nnx.LSTMCell) else (layer.dense_i, layer.dense_h)
    layer.in_features, layer.hidden_features = (dense.kernel.shape[0] for dense in inner)


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
    nnx.List: lambda layer: None,  # it counts its items, which are no width
}


def _rule(module: nnx.Module) -> Callable[[Any], None] | None:
    return next((_RULES[kind] for kind in type(module).__mro__ if kind in _RULES), None)


def _named(path: tuple[Any, ...], module: nnx.Module) -> str:
    return f"{type(module).__name__} at {'/'.join(map(str, path)) or 'the root'}"


def _own(model: nnx.Module) -> str:
    """The modules with integers that no rule sets."""
    modules = [(path, node) for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    found = [_named(path, m) for path, m in modules if any(remembered(m, _rule(m) is not None))]
    return ", ".join(found) or "none"


def _run(smaller: nnx.Module, args: tuple[Any, ...], expected: Any = None, tolerance: float = 0.0) -> None:
    """Calls the module as a function, so that what it counts or averages stays as it is."""
    definition, state = nnx.split(smaller)

    def call(state: Any, *args: Any) -> Any:
        return nnx.merge(definition, state)(*args)

    try:
        jax.eval_shape(call, state, *args)
    except Exception as refusal:  # shapes that do not fit raise what the module's code chooses
        said = next(iter(str(refusal).splitlines()), "no message")  # as of an assertion
        raise ValueError(
            f"the resized module does not run: {type(refusal).__name__}: {said}; modules with integers of their own: "
            f"{_own(smaller)}; set new widths on them first, or {_WAY_OUT}"
        ) from refusal
    if expected is not None:
        agree(jax.jit(call)(state, *args), expected, tolerance)


def _set(path: tuple[Any, ...], module: nnx.Module, before: nnx.Module, below: bool) -> None:
    rule = _rule(module)
    try:
        if rule is not None:
            rule(module)
        refuse_lost(module, before, rule is not None, below)  # a subclass may remember more than its layer
    except ValueError as reason:
        raise ValueError(f"{_named(path, module)} cannot be resized: {reason}, or {_WAY_OUT}") from reason


def resize_nnx(model: nnx.Module, state: Any, *args: Any, expected: Any = None, tolerance: float = 1e-5) -> nnx.Module:
    """An NNX module that holds a shrunk state.

    The layers of Flax remember their widths; these are set to what the arrays say. A module of your own that remembers
    a width of an array that was cut, in an attribute or in a tuple, dict or dataclass there, is refused: set the new
    one on it before. If the array is not its own but that of a module below, `expected` decides instead where it is
    given. Give it where code computes with widths (a scale, a mean, a number of heads): no attribute shows that.

    Args:
        model: The module of the full width; it stays as it is.
        state: Shrunk state, as `structure.shrink` returns it in `params` for a function that merges a state; all of it,
            with statistics and keys.
        *args: Example arguments of the module; when given, it must run on them. They also say how many groups a
            convolution has kept whose kernel fits several numbers, as whole groups may be gone or outputs of each.
        expected: What the shrunk model returns for them; when given, the new module must return the same.
        tolerance: Largest difference from `expected`, relative to its largest entry if that is above 1.

    Returns:
        A new module.

    Raises:
        ValueError: If the state is not the whole one (filtered to `nnx.Param`, say), or if a module remembers a width
            that it is not known what to do with, has groups that nothing counts, does not run, or computes something
            else because its code uses a width otherwise, as in a scale or a mean. The function that `shrink` returns
            runs in all these cases.

    Example:
        >>> model = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
        >>> small = jax.tree.map(lambda x: x[..., :3], nnx.state(model))
        >>> resize_nnx(model, small).out_features
        3
    """
    _same_paths(model, state)
    smaller = nnx.merge(nnx.graphdef(model), state, copy=True)  # or training it would change the state
    whole = dict(nnx.iter_graph(model))
    modules = {path: module for path, module in nnx.iter_graph(smaller) if isinstance(module, nnx.Module)}
    unproven = not args or expected is None
    unclear = {path: m for path, m in modules.items() if args and isinstance(m, nnx.Conv) and len(group_counts(m)) != 1}
    for path in [path for path in modules if path not in unclear]:
        _set(path, modules[path], whole[path], unproven)
    if unclear:
        with counting(list(unclear.values())):
            _run(smaller, args)
    for path in unclear:
        _set(path, modules[path], whole[path], unproven)
    if args:
        _run(smaller, args, expected, tolerance)
    return smaller
