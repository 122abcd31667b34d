"""BatchNorm folding: a norm with fixed statistics becomes part of the kernel before it."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from compressjax.core._layout import Layouts, check_layouts, using
from compressjax.quant._edit import Edit


def fold_batch_norm(
    params: Any,
    batch_stats: Any,
    pairs: Mapping[str, str],
    *,
    epsilon: float = 1e-5,
    layout: Layouts | None = None,
) -> tuple[Any, Any]:
    """Scales kernels by the norms behind them; the norms become the identity, and the function stays as it is.

    .. math:: W \\leftarrow W \\frac{\\gamma}{\\sqrt{v + \\epsilon}}, \\quad
        b \\leftarrow (b - m) \\frac{\\gamma}{\\sqrt{v + \\epsilon}} + \\beta, \\quad
        (\\gamma, \\beta, m, v) \\leftarrow (1, 0, 0, 1 - \\epsilon)

    Ranges of weights are then those that inference multiplies with. Without a bias in the layer, the norm keeps it as
    its own. Fold for inference only: statistics of training are lost.

    Args:
        params: Parameters with `kernel` and perhaps `bias` of the layers, `scale` and `bias` of the norms.
        batch_stats: The collection with `mean` and `var` of the norms, as of Flax.
        pairs: Paths of layers to those of their norms: `{"Conv_0": "BatchNorm_0"}`.
        epsilon: That of the norms.
        layout: As for `compress`; tells the output axis of kernels.

    Returns:
        New parameters and new statistics.

    Raises:
        ValueError: If a path is absent or compressed, or channels do not fit.

    Example:
        >>> params = {"conv": {"kernel": jnp.ones((1, 1))}, "norm": {"scale": jnp.array([3.0]), "bias": jnp.zeros(1)}}
        >>> stats = {"norm": {"mean": jnp.array([1.0]), "var": jnp.array([0.25])}}
        >>> folded, _ = fold_batch_norm(params, stats, {"conv": "norm"}, epsilon=0.0)
        >>> folded["conv"]["kernel"].item(), folded["norm"]["bias"].item()
        (6.0, -6.0)

    Source: Jacob et al., arXiv:1712.05877 (jacob2018).
    """
    edit, stats = Edit("fold_batch_norm", params), Edit("fold_batch_norm", batch_stats)
    with using(None if layout is None else check_layouts(layout)):
        for layer, norm in pairs.items():
            _fold(edit, stats, layer, norm, epsilon)
    return edit.tree(), stats.tree()


def _fold(edit: Edit, stats: Edit, layer: str, norm: str, epsilon: float) -> None:
    mean, var = stats.dense(f"{norm}/mean"), stats.dense(f"{norm}/var")
    factor = 1.0 / jnp.sqrt(var + epsilon)
    gamma, beta, bias = f"{norm}/scale", f"{norm}/bias", f"{layer}/bias"
    if gamma in edit:
        factor = factor * edit.dense(gamma)
        edit[gamma] = jnp.ones_like(edit[gamma])
    edit.outputs(f"{layer}/kernel", factor)
    shift = -mean * factor + (edit.dense(beta) if beta in edit else 0.0)
    if bias in edit:
        old = edit.dense(bias)
        edit[bias] = (old * factor.reshape(old.shape) + shift.reshape(old.shape)).astype(old.dtype)
        if beta in edit:
            edit[beta] = jnp.zeros_like(edit[beta])
    elif beta in edit:
        edit[beta] = shift.astype(edit[beta].dtype)
    else:
        raise ValueError(f"fold_batch_norm: neither {layer!r} nor {norm!r} has a bias that takes the mean; add one")
    stats[f"{norm}/mean"], stats[f"{norm}/var"] = jnp.zeros_like(mean), jnp.full_like(var, 1.0 - epsilon)
