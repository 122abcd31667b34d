"""Trace of the Hessian of the loss, leaf by leaf, from products with random signs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.core._settings import as_int


class Trace(NamedTuple):
    """Estimate of a trace: the mean over all probes, and its standard error (NaN for one probe)."""

    value: float
    error: float


def hessian_trace(
    loss: Callable[[Any, Any], jax.Array],
    params: Any,
    batches: Sequence[Any],
    key: jax.Array,
    *,
    probes: int = 32,
    select: Selector = kernels,
) -> dict[str, Trace]:
    """Estimates the trace of the Hessian of every leaf (Hutchinson).

    .. math:: tr(H_{ll}) = E[v_l^\\top (H v)_l], \\quad v_i \\in \\{-1, 1\\}

    One probe costs about two backward passes over the batches, for all leaves at once.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the batch; twice differentiable.
        params: A tree of arrays and nodes.
        batches: List of batches of equal weight.
        key: Random key.
        probes: Random vectors, at least 1; the standard error falls with their square root.
        select: The leaves to look at.

    Returns:
        `{path: Trace}`.

    Raises:
        ValueError: If nothing is selected, there are no batches, or a trace is not finite.

    Example:
        >>> loss = lambda p, x: jnp.sum(3.0 * p["a"] ** 2)
        >>> hessian_trace(loss, {"a": jnp.ones((2, 2))}, [None], jax.random.key(0), probes=2)["a"].value
        24.0

    Source: Hutchinson, 1990; for quantization: Dong et al., arXiv:1911.03852 (dong2019).
    """
    if as_int("hessian_trace", "probes", probes) < 1 or not batches:
        raise ValueError(f"hessian_trace needs a probe and a batch, got probes={probes} and {len(batches)} batches")
    flat = {path: x for path, x in values(params).items() if matches(select, path, x)}
    if not flat:
        raise ValueError(
            f"hessian_trace: select={select!r} selects nothing; the tree has {sorted(values(params))[:12]}"
        )

    @jax.jit
    def one(batch: Any, key: jax.Array) -> dict[str, jax.Array]:
        slope = jax.grad(lambda flat: loss(with_values(params, flat), batch))
        own = dict(zip(flat, jax.random.split(key, len(flat))))
        signs = {path: jax.random.rademacher(own[path], x.shape, x.dtype) for path, x in flat.items()}
        _, product = jax.jvp(slope, (flat,), (signs,))
        return {path: jnp.sum((v * product[path]).astype(jnp.float32)) for path, v in signs.items()}

    # The same vectors for all batches: an estimate of the trace of the mean loss. No loop of XLA: gradients of
    # convolutions take five times as long in it on a CPU.
    keys = jax.random.split(key, int(probes))
    parts = [[one(batch, own) for own in keys] for batch in batches]
    found = {path: np.mean([[float(made[path]) for made in part] for part in parts], axis=0) for path in flat}
    if strange := [path for path, x in found.items() if not np.isfinite(x).all()]:
        raise ValueError(
            f"hessian_trace: the second derivatives of {strange[:8]} are not finite; check weights and loss"
        )
    spread = {path: x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan for path, x in found.items()}
    return {path: Trace(float(x.mean()), float(spread[path])) for path, x in found.items()}
