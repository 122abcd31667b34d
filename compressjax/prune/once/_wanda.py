"""Wanda: one-shot pruning by weights and activations, per output."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._layout import using
from compressjax.prune.once._layerwise import layerwise
from compressjax.prune.patterns._checks import Distribution, check_pattern
from compressjax.prune.patterns._masks import pattern_mask
from compressjax.prune.patterns._pattern import Pattern
from compressjax.saliency import wanda as scores_by_wanda
from compressjax.saliency._layout import layout


def wanda(
    sparsity: float | None = None, pattern: str = "balanced", *, distribution: Distribution = "uniform"
) -> Compression:
    """Removes, for every output, the inputs that contribute least, without retraining.

    .. math:: S_{ij} = |W_{ij}| \\cdot \\|X_i\\|_2, \\qquad M_{\\cdot j} = \\mathrm{top}_{1 - s}(S_{\\cdot j})

    The cheapest method that reads data: one pass of `observe` over a few hundred examples (`gram=False` is enough) and
    one sort. Kernels are matrices `[in, out]`, convolutions `[h * w * in, out]`; layers of a stack and experts are
    pruned separately. Saves bytes as `gradual`, without training; no speed-up. Above 50 % `sparsegpt` loses less
    accuracy.

    Args:
        sparsity: Fraction of zeros, in [0, 1); None for N:M.
        pattern: `"balanced"`, or `"N:M"` along the inputs.
        distribution: `"uniform"`, `"erk"` or `{pattern: sparsity}`, as `by_sensitivity` returns.

    Returns:
        Compression with `Masked` nodes; pass `stats=` to `compress` or to the first `after_step`.

    Raises:
        ValueError: If a setting is out of range; from `after_step`, if the statistics or the pattern do not fit a leaf.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.array([[1.0, 1.0], [2.0, 2.0]])}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[9.0, 1.0]]))
        >>> compress(params, {".*": wanda(0.5)}, stats)["kernel"].mask.tolist()
        [[True, True], [False, False]]

    Source: Sun et al., arXiv:2306.11695 (sun2024).
    """
    chosen, name = checked("wanda", sparsity, pattern, distribution)
    score = scores_by_wanda().score

    def prune_leaf(path: str, x: jax.Array, stats: Any, zeros: float | None) -> tuple[jax.Array, None, None]:
        shaped = layout(path, x.shape, stats)
        scores = shaped.matrices(score({path: x}, {path: stats})[path])
        # One column per output and layer.
        columns = jnp.moveaxis(scores, 0, 1).reshape(scores.shape[1], -1)
        with using("[in, out]"):
            mask = pattern_mask(columns, None if zeros is None else 1 - zeros, chosen, path=path)
        return shaped.leaf(jnp.moveaxis(mask.reshape(scores.shape[1], len(scores), -1), 1, 0), x.shape), None, None

    return layerwise(name, prune_leaf, ("squares",), inverts=False, sparsity=sparsity, distribution=distribution)


def checked(
    method: str, sparsity: float | None, pattern: str, distribution: Distribution = "uniform"
) -> tuple[Pattern, str]:
    """The pattern of a layer-by-layer method and the method's name in manifests."""
    if not isinstance(pattern, str):
        raise ValueError(f"{method}: give the pattern by name, as '2:4'; the statistics give the input axes")
    chosen = check_pattern(pattern, sparsity, distribution, method)
    if distribution == "global":
        raise ValueError(f"{method}: distribution 'global' has no meaning layer by layer; use 'uniform' or 'erk'")
    free = "balanced" if method == "wanda" else "unstructured"
    if chosen.density is None and chosen.name != free:
        raise ValueError(f"{method}: pattern {pattern!r} is not supported layer by layer; use {free!r} or 'N:M'")
    return chosen, f"{method}(sparsity={sparsity})" if chosen.density is None else f"{method}({chosen.name})"
