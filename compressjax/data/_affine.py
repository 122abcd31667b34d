"""Linear transforms of features, and the layer that takes them in."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import nodes, with_values
from compressjax.core._layout import Layouts, check_layouts, layout_of, using


class Affine(NamedTuple):
    """The map `x @ matrix + offset`, with `matrix [features, components]`."""

    matrix: jax.Array
    offset: jax.Array


def fold(fitted: Any, params: Any, kernel: str, bias: str, *, layout: Layouts | None = None) -> Any:
    """Moves a linear reducer into the layer that reads its results, so that the model takes raw features.

    .. math:: (x A + c) W + b = x (A W) + (c W + b)

    Exact up to rounding. The kernel then has as many inputs as there are raw features: the program is simpler, and
    larger where the reducer had removed many features.

    Args:
        fitted: With a method `affine()`: scalers, PCA, selections, projections.
        params: A tree of arrays.
        kernel: Value path of the kernel `[components, out]` that reads the results.
        bias: Value path of its bias `[out]`.
        layout: As for `compress`.

    Returns:
        The tree with another kernel and bias.

    Raises:
        ValueError: If the reducer is not linear, a path is absent, or the kernel has another number of inputs.

    Example:
        >>> from compressjax.data import fit, standard_scaler
        >>> scaler = fit(standard_scaler(), jnp.array([[1.0], [3.0]]))
        >>> params = {"kernel": jnp.array([[2.0]]), "bias": jnp.zeros(1)}
        >>> folded = fold(scaler, params, "kernel", "bias")
        >>> (jnp.array([[5.0]]) @ folded["kernel"] + folded["bias"]).tolist()
        [[6.0]]
    """
    if not hasattr(fitted, "affine"):
        raise ValueError(f"fold: {type(fitted).__name__} is not linear, so no layer can take it in; keep it before the "
                         "model")  # fmt: skip
    found = nodes(params)
    for path in (kernel, bias):
        if path not in found:
            raise ValueError(f"fold: {path!r} is not in the tree, which has {sorted(found)[:12]}")
    matrix, offset = fitted.affine()
    weights = jnp.asarray(found[kernel])
    with using(None if layout is None else check_layouts(layout)):
        axes = layout_of(kernel, weights.shape)
    if weights.ndim != 2 or len(axes.inputs) != 1 or weights.shape[axes.inputs[0]] != matrix.shape[1]:
        raise ValueError(f"fold: {kernel!r} of shape {weights.shape} must be a matrix with {matrix.shape[1]} inputs, "
                         f"one for every result of {type(fitted).__name__}")  # fmt: skip
    turned = jnp.transpose(weights, axes.order)
    high = jax.lax.Precision.HIGHEST
    inside = jnp.matmul(matrix, turned, precision=high).astype(weights.dtype)
    shift = jnp.matmul(offset, turned, precision=high)
    old = jnp.asarray(found[bias])
    return with_values(params, {kernel: jnp.transpose(inside, axes.inverse), bias: (old + shift).astype(old.dtype)})


def reconstruction_error(fitted: Any, x: Any) -> jax.Array:
    """Mean squared error of a row after `transform` and `inverse_transform`."""
    rows = jnp.asarray(x, jnp.float32)
    return jnp.mean(jnp.sum((fitted.inverse_transform(fitted.transform(rows)) - rows) ** 2, axis=-1))
