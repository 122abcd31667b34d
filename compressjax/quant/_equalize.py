"""Cross-layer equalization: ranges of two layers in a row, balanced without a change of the function."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.core._layout import Layouts, check_layouts, layout_of, using
from compressjax.core._settings import as_int
from compressjax.numerics._numerics import wide
from compressjax.quant._edit import Edit, by_path


def equalize(
    params: Any,
    pairs: Mapping[str | tuple[str, ...], str | Sequence[str]],
    *,
    layout: Layouts | None = None,
    iterations: int = 20,
) -> Any:
    """Scales the channels between layers so that both sides have the same range in every channel.

    .. math:: W_1 \\leftarrow W_1 / s, \\quad b_1 \\leftarrow b_1 / s, \\quad W_2 \\leftarrow s W_2, \\qquad
        s_j = \\sqrt{\\max |W_{1, \\cdot j}| \\,/\\, \\max |W_{2, j \\cdot}|}

    Exact where what lies between scales with its input: relu, leaky relu, pooling, reshapes; not gelu or tanh. Rounding
    with one scale per tensor then loses less. A reader with a multiple of the channels (a dense layer behind flattened
    images, channels last) takes every scale several times.

    Args:
        params: A tree of arrays.
        pairs: Value paths of a writer (its kernel first, then its bias) to those of its readers:
            `{("conv1/kernel", "conv1/bias"): "conv2/kernel"}`, in the order of the network.
        layout: As for `compress`; tells inputs and outputs of kernels.
        iterations: Passes over the pairs, at least 1; a chain of layers needs several.

    Returns:
        The tree with scaled leaves.

    Raises:
        ValueError: If a path is absent or compressed, or channels do not fit.

    Example:
        >>> params = {"a": jnp.array([[8.0, 1.0]]), "b": jnp.array([[2.0], [4.0]])}
        >>> {k: v.ravel().tolist() for k, v in equalize(params, {"a": "b"}).items()}
        {'a': [4.0, 2.0], 'b': [4.0, 2.0]}

    Source: Nagel et al., arXiv:1906.04721 (nagel2019).
    """
    if as_int("equalize", "iterations", iterations) < 1:
        raise ValueError(f"equalize: iterations={iterations} must be at least 1; 20 is usual")
    edit = Edit("equalize", params)
    with using(None if layout is None else check_layouts(layout)):
        for _ in range(iterations):
            for writers, readers in by_path(pairs):
                _balance(edit, writers, readers)
    return edit.tree()


def _balance(edit: Edit, writers: tuple[str, ...], readers: tuple[str, ...]) -> None:
    kernel = edit.dense(writers[0])
    matrix = layout_of(writers[0], kernel.shape).matrices(wide(kernel)) if kernel.ndim > 1 else wide(kernel)[None, None]
    wrote = jnp.max(jnp.abs(matrix), axis=(0, 1))
    read = [_channels(edit, path, wrote.size) for path in readers]
    most = jnp.max(jnp.stack(read), axis=0)
    scale = jnp.where((wrote > 0) & (most > 0), jnp.sqrt(wrote / jnp.where(most > 0, most, 1.0)), 1.0)
    for path in writers:
        edit.outputs(path, 1.0 / scale)
    for path in readers:
        x = edit.dense(path)
        shaped = layout_of(path, x.shape)
        matrices = shaped.matrices(wide(x))
        times = jnp.tile(scale, matrices.shape[1] // scale.size)
        edit[path] = shaped.leaf(matrices * times[None, :, None], x.shape).astype(x.dtype)


def _channels(edit: Edit, path: str, count: int) -> jnp.ndarray:
    """The largest weight that reads each channel."""
    x = edit.dense(path)
    matrices = layout_of(path, x.shape).matrices(wide(x))
    if matrices.shape[1] % count:
        edit.check(path, "reads", [matrices.shape[1]], jnp.ones(count))
    return jnp.max(jnp.abs(matrices).reshape(len(matrices), -1, count, matrices.shape[2]), axis=(0, 1, 3))
