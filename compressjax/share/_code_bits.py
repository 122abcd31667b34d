"""A rate term for training: the bits that a file takes for the codes of a leaf."""

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number
from compressjax.numerics._numerics import straight_through, wide


def code_bits(
    x: jax.Array, table: jax.Array, *, contexts: jax.Array | None = None, temperature: float = 0.1
) -> jax.Array:
    """Returns the entropy of the nearest entries of a table, in bits for the whole leaf, with a gradient.

    .. math:: R = \\sum_i -\\log_2 \\frac{n_{g_i a_i}}{n_{g_i}} + \\sum_g \\frac{u_g - 1}{2} \\log_2 n_g, \\qquad
        \\frac{\\partial R}{\\partial w_i} = (\\ell_{a^+} - \\ell_{a^-}) \\frac{\\partial}{\\partial w_i}
        \\sigma\\Bigl(\\frac{w_i - m_i}{T (c_{a^+} - c_{a^-})}\\Bigr)

    where `a` is the nearest entry, `n` counts, `g` is the context, `u` how many codes occur in it, and `m` the middle
    between the entries below and above `w`. The second sum is what a coder pays to learn the counts. The value is that
    of the codes as they are, so it is what a file takes: `measure.rate_gaps` compares the two. The gradient moves a
    weight over the edge to the neighbor with the shorter code. Add `R / (number of weights)` to the loss, times a
    factor; larger factors give smaller files.

    Args:
        x: Weights of a leaf, any shape.
        table: Centroids or grid points, ascending `[k]`, at least 2; for a grid, `scale * arange(low, high + 1)`.
        contexts: Small integers of the shape of `x`, from `measure.code_contexts` of its codes, renewed now and then;
            None for one context. With them, the value follows the `context` codec.
        temperature: T, above 0: how far from an edge the gradient reaches, in steps.

    Returns:
        Scalar, in bits; 0 for a leaf without entries. Differentiable with respect to `x` and, by the edges, `table`.

    Raises:
        ValueError: If the table has fewer than two entries, the contexts have another shape, or `temperature` is not
            above 0.

    Example:
        >>> float(code_bits(jnp.array([0.1, 0.2, 0.9, 1.1]), jnp.array([0.0, 1.0])))
        5.0

    Source: Wiedemann et al., arXiv:1812.07520 (wiedemann2018); soft assignments: Agustsson et al., arXiv:1704.00648
    (agustsson2017).
    """
    if table.ndim != 1 or table.shape[0] < 2:
        raise ValueError(
            f"code_bits: the table has the shape {tuple(table.shape)}; give at least two entries, ascending"
        )
    if contexts is not None and tuple(contexts.shape) != tuple(x.shape):
        raise ValueError(f"code_bits: contexts have the shape {tuple(contexts.shape)}, the weights {tuple(x.shape)}")
    if not 0 < as_number("code_bits", "temperature", temperature) < float("inf"):
        raise ValueError(f"code_bits: temperature={temperature} must be above 0; 0.1 is usual")
    flat, points = wide(x).astype(jnp.float32).ravel(), table.astype(jnp.float32)
    k = points.shape[0]
    below = jnp.clip(jnp.searchsorted(jax.lax.stop_gradient(points), flat, side="right") - 1, 0, k - 2)
    low, high = points[below], points[below + 1]
    step = jnp.maximum(high - low, jnp.finfo(jnp.float32).tiny)
    above = jax.nn.sigmoid((flat - (low + high) / 2) / (temperature * step))
    codes = below + (flat > (low + high) / 2).astype(below.dtype)
    group = jnp.zeros(flat.shape, jnp.int32) if contexts is None else contexts.ravel().astype(jnp.int32)
    counts = _counts(codes, group, k)
    totals = jnp.maximum(jnp.sum(counts, axis=1, keepdims=True), 1.0)
    # An absent code costs as much as one that occurs half a time.
    lengths = jax.lax.stop_gradient(jnp.log2(totals / jnp.maximum(counts, 0.5)))
    used = jnp.sum(counts > 0, axis=1).astype(jnp.float32)
    learned = jnp.sum(jnp.maximum(used - 1, 0) / 2 * jnp.log2(totals[:, 0]))
    hard = jnp.sum(counts * lengths) + learned
    soft = jnp.sum(lengths[group, below] + above * (lengths[group, below + 1] - lengths[group, below]))
    return straight_through(soft, hard)


_GROUPS = 16  # levels of the context codec


def _counts(codes: jax.Array, group: jax.Array, k: int) -> jax.Array:
    """How often every code occurs in every context, `[16, k]`."""
    return jax.ops.segment_sum(jnp.ones(codes.shape, jnp.float32), group * k + codes, _GROUPS * k).reshape(_GROUPS, k)
