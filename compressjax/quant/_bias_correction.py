"""Bias correction: rounding that moves the mean of an output moves a bias back."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import dense
from compressjax.numerics._numerics import wide
from compressjax.quant._edit import Edit
from compressjax.saliency._layout import layout


def bias_correction(params: Any, small: Any, stats: Mapping[str, Any], pairs: Mapping[str, str] | None = None) -> Any:
    """Adds to every bias what rounding took from the mean of the outputs.

    .. math:: b \\leftarrow b + E[x]^\\top (W - \\hat W)

    The mean inputs are those of the dense model. `structure.repair` needs no names and follows the compressed model.

    Args:
        params: The dense parameters.
        small: The compressed tree.
        stats: Statistics of `observe` on `params`.
        pairs: Value paths of kernels to those of their biases. None pairs every `kernel` or `w` that became a node with
            the `bias` or `b` beside it.

    Returns:
        The compressed tree with new biases.

    Raises:
        ValueError: If there is no pair, a path is absent, a kernel has no statistics, or shapes do not fit.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> from compressjax.quant import rtn
        >>> params = {"kernel": jnp.array([[1.0], [0.4]]), "bias": jnp.zeros(1)}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"] + p["bias"])(params, jnp.array([[1.0, 1.0]]))
        >>> small = compress(params, {"kernel": rtn(2)})
        >>> round(bias_correction(params, small, stats)["bias"].item(), 6)
        0.4

    Source: Nagel et al., arXiv:1906.04721 (nagel2019).
    """
    before, edit = Edit("bias_correction", params), Edit("bias_correction", small)
    chosen = dict(pairs) if pairs is not None else _beside(before, edit)
    if not chosen:
        raise ValueError("bias_correction: no compressed kernel has a bias beside it; name them with pairs=")
    for kernel, bias in chosen.items():
        if kernel not in stats:
            raise ValueError(
                f"bias_correction: {kernel!r} has no statistics; observe a function that multiplies with it"
            )
        shaped = layout(kernel, before[kernel].shape, stats[kernel])
        wrong = shaped.matrices(wide(before.dense(kernel)) - wide(dense(edit[kernel])))
        mean = stats[kernel].mean.reshape(len(wrong), -1)
        shift = jnp.einsum("li,lio->lo", mean, wrong, precision=jax.lax.Precision.HIGHEST)
        old = edit.dense(bias)
        if shift.size != old.size:
            raise ValueError(
                f"bias_correction: {bias!r} has {old.size} entries, {kernel!r} {shift.size} outputs; name pairs="
            )
        edit[bias] = (wide(old) + shift.reshape(old.shape)).astype(old.dtype)
    return edit.tree()


def _beside(before: Edit, edit: Edit) -> dict[str, str]:
    """The kernels that changed, with the biases beside them."""
    found = {}
    for path, leaf in edit.found.items():
        head, _, name = path.rpartition("/")
        partner = {"kernel": "bias", "w": "b"}.get(name)
        bias = f"{head}/{partner}" if head else str(partner)
        if partner and bias in edit and path in before and leaf is not before[path]:
            found[path] = bias
    return found
