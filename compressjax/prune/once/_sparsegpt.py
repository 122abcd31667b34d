"""SparseGPT: one-shot pruning with error compensation in later inputs."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._layout import Layout, using
from compressjax.numerics._host import on_host
from compressjax.numerics._numerics import wide
from compressjax.numerics._placement import alike, everywhere, split
from compressjax.numerics._second_order import inverse_root
from compressjax.numerics._top import top_along, top_mask
from compressjax.prune.once._layerwise import HessianInfo, layerwise
from compressjax.prune.once._sparsegpt_host import prune_on_host
from compressjax.prune.once._wanda import checked
from compressjax.prune.patterns._checks import Distribution, check_strength
from compressjax.saliency._layout import layout


def sparsegpt(
    sparsity: float | None = None,
    pattern: str = "unstructured",
    *,
    distribution: Distribution = "uniform",
    block: int = 128,
    damping: float = 0.01,
) -> Compression:
    """Prunes a kernel input by input and compensates each error in the inputs not yet pruned.

    .. math:: H = X^\\top X + \\lambda \\overline{h} I = (U^\\top U)^{-1}, \\quad
        S_{ij} = \\frac{W_{ij}^2}{U_{ii}^2}, \\quad
        W_{k\\cdot} \\leftarrow W_{k\\cdot} - \\frac{U_{ik}}{U_{ii}} (W_{i\\cdot} - \\hat W_{i\\cdot}) \\;\\; (k \\ge i)

    for a kernel `[in, out]`. Masks are chosen from the updated weights: for `block` inputs at a time over all outputs,
    or, for N:M, for `M` inputs at a time per output. Convolutions are matrices `[h * w * in, out]`; layers of a stack
    and experts are pruned separately. Needs the Gram matrix of the inputs (`observe` with `gram=True`), time
    `in^2 (in + out)` and memory `in^2`. With fewer examples than inputs the result depends on the damping: see `info`
    in the state and `hessian_condition`. Saves bytes as `gradual`, without training; no speed-up.

    Args:
        sparsity: Fraction of zeros, in [0, 1); None for N:M.
        pattern: `"unstructured"`, or `"N:M"` along the inputs.
        distribution: `"uniform"`, `"erk"` or `{pattern: sparsity}`, as `by_sensitivity` returns.
        block: Inputs per block, at least 1.
        damping: Multiple of the mean diagonal that is added to the diagonal, at least 0.

    Returns:
        Compression with `Masked` nodes; pass `stats=` to `compress` or to the first `after_step`.

    Raises:
        ValueError: If a setting is out of range; from `after_step`, if the statistics or the pattern do not fit a leaf.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.array([[3.0], [2.0]])}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[1.0, 1.0], [1.0, 0.9]]))
        >>> small = compress(params, {".*": sparsegpt(0.5)}, stats)["kernel"]
        >>> small.mask.tolist(), round(small.value[1, 0].item(), 1)
        ([[False], [True]], 5.1)

    Source: Frantar and Alistarh, arXiv:2301.00774 (frantar2023).
    """
    chosen, name = checked("sparsegpt", sparsity, pattern, distribution)
    check_strength("sparsegpt", "damping", damping, "0.01 is usual")
    if block < 1:
        raise ValueError(f"sparsegpt: block={block} must be at least 1; 128 is usual")

    def prune_leaf(
        path: str, x: jax.Array, stats: Any, zeros: float | None
    ) -> tuple[jax.Array, jax.Array, HessianInfo]:
        shaped = layout(path, x.shape, stats)
        if stats.gram is None:
            raise ValueError(f"sparsegpt reads the Gram matrix of {path}; collect it with observe(gram=True)")
        inputs = stats.gram.shape[-1]
        if chosen.density is not None:
            with using("[in, out]"):
                chosen.read(path, (inputs, math.prod(x.shape[a] for a in shaped.outputs)))  # refuses inputs of no N:M
        rule = _Rule(chosen.group, round((chosen.density or 0.0) * chosen.group), block, damping, zeros or 0.0)
        weights, grams = on_host(x), on_host(stats.gram)
        if weights is not None and grams is not None:
            mask, shift, condition, fallback = prune_on_host(weights, grams, shaped, rule)
            info = HessianInfo(jnp.asarray(condition, jnp.float32), jnp.asarray(fallback))
            return jnp.asarray(mask), jnp.asarray(shift), info
        return _prune(x, stats.gram.reshape(-1, inputs, inputs), shaped, rule)

    return layerwise(name, prune_leaf, ("gram", "squares"), inverts=True, sparsity=sparsity, distribution=distribution)


class _Rule(NamedTuple):
    """Settings of one leaf: `kept` of every `group` inputs, or without groups the fraction `sparsity` of zeros."""

    group: int
    kept: int
    block: int
    damping: float
    sparsity: float


# One program for all leaves of a shape, and no memory for two leaves at once.
@functools.partial(jax.jit, static_argnums=(2, 3), inline=True)
def _prune(x: jax.Array, grams: jax.Array, shaped: Layout, rule: _Rule) -> tuple[jax.Array, jax.Array, HessianInfo]:
    """Mask and shift of a leaf."""
    weights = wide(x)

    def layer(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, HessianInfo]:
        kernel, hessian = pair
        found = inverse_root(hessian, rule.damping)
        root = found.root.astype(kernel.dtype)
        # Inputs that are always zero get an infinite scale, so that their scores and errors are zero.
        scale = jnp.where(jnp.diagonal(hessian) > 0, jnp.diagonal(root), jnp.inf)
        info = HessianInfo(found.condition.astype(jnp.float32), found.fallback)
        return *prune_matrix(kernel, root, scale, rule), info

    matrices = shaped.matrices(weights)
    if everywhere(matrices, 0):  # every device has some layers, or some outputs of all
        new, mask, info = jax.vmap(lambda *pair: layer(pair))(split(matrices, 0), split(grams, 0))
    else:
        new, mask, info = jax.lax.map(layer, (split(matrices, 2), grams))
    worst = HessianInfo(jnp.max(info.condition), jnp.any(info.fallback))
    moved = alike(shaped.leaf(new, x.shape), x) - weights
    return alike(shaped.leaf(mask, x.shape), x), moved.astype(jnp.float32), worst


def prune_matrix(kernel: jax.Array, root: jax.Array, scale: jax.Array, rule: _Rule) -> tuple[jax.Array, jax.Array]:
    """The pruned kernel `[in, out]` and its mask; `scale` is the diagonal of the inverse root of the second moments."""
    inputs, outputs = kernel.shape
    group = rule.group
    block = min(rule.block, inputs)
    block += -block % group if group else 0
    # Padded inputs are zero, uncorrelated with the rest, and always kept.
    extra = -inputs % block
    scale = jnp.concatenate([scale, jnp.ones(extra, root.dtype)])
    root = jnp.pad(root, ((0, extra), (0, extra))) + jnp.diag(jnp.arange(inputs + extra) >= inputs).astype(root.dtype)
    kernel = jnp.pad(kernel, ((0, extra), (0, 0)))
    plan = _Plan(inputs, outputs, block, group, rule.kept, rule.sparsity)
    mask = jnp.ones(kernel.shape, bool)

    def step(b: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return _block(plan, b * block, root, scale, *carry)

    kernel, mask = jax.lax.fori_loop(0, (inputs + extra) // block, step, (kernel, mask))
    return jnp.where(mask, kernel, 0.0)[:inputs], mask[:inputs]


class _Plan(NamedTuple):
    inputs: int
    outputs: int
    block: int
    group: int
    kept: int
    sparsity: float


def _block(
    plan: _Plan, start: jax.Array, root: jax.Array, scale: jax.Array, kernel: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Prunes the inputs of one block and compensates their errors in all later inputs."""
    size = plan.block
    panel = jax.lax.dynamic_slice_in_dim(kernel, start, size)
    rows = jax.lax.dynamic_slice_in_dim(root, start, size)
    square = jax.lax.dynamic_slice_in_dim(rows, start, size, axis=1)
    diagonal = jax.lax.dynamic_slice_in_dim(scale, start, size)
    keep = jnp.ones(panel.shape, bool) if plan.group else _keep_block(plan, panel, diagonal, start)

    def step(i: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        panel, keep, errors = carry
        if plan.group:
            keep = jax.lax.cond(i % plan.group == 0, lambda: _keep_group(plan, panel, keep, diagonal, i), lambda: keep)
        error = jnp.where(keep[i], 0.0, panel[i]) / diagonal[i]
        # Row i of the root is zero before i, so finished inputs do not change.
        return panel - jnp.outer(square[i], error), keep, errors.at[i].set(error)

    panel, keep, errors = jax.lax.fori_loop(0, size, step, (panel, keep, jnp.zeros_like(panel)))
    later = jnp.arange(root.shape[0]) >= start + size
    carried = jnp.matmul(jnp.where(later[None], rows, 0.0).T, errors, precision=jax.lax.Precision.HIGHEST)
    kernel = jax.lax.dynamic_update_slice_in_dim(kernel, panel, start, 0) - carried
    return kernel, jax.lax.dynamic_update_slice_in_dim(mask, keep, start, 0)


def _keep_block(plan: _Plan, panel: jax.Array, diagonal: jax.Array, start: jax.Array) -> jax.Array:
    real = (start + jnp.arange(plan.block) < plan.inputs)[:, None]
    scores = jnp.where(real, jnp.square(panel / diagonal[:, None]), jnp.inf)
    # Python integers, because float32 cannot count the weights of large layers exactly.
    whole, last = plan.block * plan.outputs, (plan.inputs % plan.block or plan.block) * plan.outputs
    removed = jnp.where(start + plan.block > plan.inputs, round(plan.sparsity * last), round(plan.sparsity * whole))
    return top_mask(scores, whole - removed)


def _keep_group(plan: _Plan, panel: jax.Array, keep: jax.Array, diagonal: jax.Array, i: jax.Array) -> jax.Array:
    part = jax.lax.dynamic_slice_in_dim(panel, i, plan.group)
    scores = jnp.square(part / jax.lax.dynamic_slice_in_dim(diagonal, i, plan.group)[:, None])
    return jax.lax.dynamic_update_slice_in_dim(keep, top_along(scores, plan.kept, 0), i, 0)
