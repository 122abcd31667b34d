"""GPTQ: rounding with error compensation in the inputs that are still to come."""

import functools
import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, from_encode
from compressjax.core._checks import check_finite, is_concrete
from compressjax.core._layout import Layout
from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import LeftOutWarning
from compressjax.numerics._explicit import block_sharding, explicit, with_shardings
from compressjax.numerics._host import on_host
from compressjax.numerics._numerics import wide
from compressjax.numerics._placement import alike, everywhere, split
from compressjax.quant._compensate import Rule, Scales, compensate
from compressjax.quant._compensate_host import solve_on_host
from compressjax.quant._grid import Grid, best_ratio, block_shape, check_range, fit, make_grid, place
from compressjax.quant._nearest_host import HostScales, takes
from compressjax.saliency._layout import layout
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks

# Layers of a stack are solved together while their second moments and weights have at most this many entries.
_TOGETHER = 2**22


def gptq(
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    axis: int | tuple[int, ...] | None = None,
    clip: str | None = None,
    fallback: str = "skip",
    damp: float = 0.01,
    block: int = 128,
    order: str = "natural",
    static_groups: bool = False,
) -> Compression:
    """Rounds a kernel input by input and compensates each error in the inputs not yet rounded.

    .. math:: H = X^\\top X + \\lambda \\overline{h} I = (U^\\top U)^{-1}, \\quad
        W_{k\\cdot} \\leftarrow W_{k\\cdot} - \\frac{U_{ik}}{U_{ii}} (W_{i\\cdot} - Q(W_{i\\cdot})) \\;\\; (k > i)

    for a kernel `[in, out]`. Convolutions are matrices `[h * w * in, out]`; layers of a stack and experts are solved
    separately. Weights that are exactly zero stay zero, and what that costs is compensated too, so
    `sequence(prune.magnitude(0.5), gptq(4))` keeps the mask. Bytes and speed are those of `rtn`. Needs the Gram matrix
    of the inputs (`observe` with `gram=True`), time `in^2 (in + out)` and memory `in^2`.

    Where the damped matrix has no Cholesky factor, damping grows in steps of 10 up to 1; where that does not help
    either, the leaf is rounded to nearest. A `LeftOutWarning` names the leaf in both cases.

    Args:
        bits: As for `rtn`: the bits, the name of a format, or a ready `grid`.
        granularity: As for `grid`. The scales of a group are fitted when its first input is reached, from the updated
            weights; a group of a convolution holds whole channels, and channels are then visited one after another.
        symmetric: As for `grid`.
        activation: As for `grid`.
        axis: As for `grid`; scales are then fitted before.
        clip: As for `grid`.
        fallback: As for `grid`.
        damp: Multiple of the mean diagonal that is added to the diagonal, at least 0.
        block: Inputs per deferred update, at least 1; changes time only.
        order: `"natural"`, or `"activation"` to round inputs with the largest second moment first ("act-order").
        static_groups: Whether the scales of groups are fitted before the first input. Always so with
            `order="activation"`, which does not visit groups one after another.

    Returns:
        Compression whose nodes are `Quantized`; pass `stats=` to `compress`.

    Raises:
        ValueError: If a setting is out of range; from `after_step` and `encode`, if the statistics do not fit a leaf.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.array([[0.4], [1.0]])}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[1.0, 1.0], [1.0, 0.9]]))
        >>> grid = dict(bits=2, granularity="tensor")
        >>> compress(params, {".*": gptq(**grid)}, stats)["kernel"].materialize().ravel().tolist()
        [0.0, 1.0]

    Source: Frantar et al., arXiv:2210.17323 (frantar2022).
    """
    grid = make_grid("gptq", bits, granularity, symmetric, axis, None, activation, clip, fallback)
    rule = _rule(grid, damp, block, order)

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        if stats is None or stats.gram is None:
            raise ValueError(
                f"gptq reads the Gram matrix of the inputs of {path!r}; run observe(fn, gram=True) and pass its "
                "statistics as stats="
            )
        shaped = layout(path, x.shape, stats)
        blocks = block_shape(path, x.shape, grid)
        absmax = jnp.max(stats.absmax) if grid.activation == "static" else None
        check_range("gptq", path, absmax)
        # Scales with scales of their own are known only when all of them are.
        known = static_groups or order == "activation" or grid.second is not None
        own = rule._replace(group=0 if known else _group(x.shape, blocks, shaped, grid))
        ratio = None if own.group else best_ratio(path, x, grid)
        weights, scales, damping, failed = _whole(x, stats.gram, ratio, shaped, blocks, own)
        check_finite("gptq", path, scales.scale, "scales", "its range overflows float32: scale the weights down")
        _tell(path, damping, failed, damp)
        return place(path, weights, grid, scales.scale, scales.zero_point, absmax)[0].convert(x.dtype)

    needs = ("gram", "absmax") if grid.activation == "static" else ("gram",)
    return from_encode(f"gptq({grid}, order={order})", encode, needs=needs)


def _rule(grid: Grid, damp: float, block: int, order: str) -> Rule:
    """The settings after checks."""
    if grid.form.averages and grid.clip != "exact":
        raise ValueError(f"gptq: {grid.format} with clip={grid.clip!r} does not round to the nearest code; use ternary")
    if not 0 <= as_number("gptq", "damp", damp) < math.inf:
        raise ValueError(f"gptq: damp={damp} must be finite and at least 0; 0.01 is usual")
    if as_int("gptq", "block", block) < 1:
        raise ValueError(f"gptq: block={block} must be at least 1; 128 is usual")
    if order not in ("natural", "activation"):
        raise ValueError(f"gptq: order={order!r} must be 'natural' or 'activation'; stored axes follow from the layout")
    return Rule(grid, 0, int(block), float(damp), order == "activation")


def _group(shape: tuple[int, ...], blocks: tuple[int, ...], shaped: Layout, grid: Grid) -> int:
    """Inputs per group, if groups run along the inputs; 0 where scales have to be known before."""
    if grid.axis is not None or not isinstance(grid.granularity, int) or shaped.along is None:
        return 0
    return math.prod(shape[a] for a in shaped.inputs) // blocks[shaped.along]


def _tell(path: str, damping: jax.Array, failed: jax.Array, damp: float) -> None:
    """Says which layers needed more damping, or were rounded to nearest."""
    if not is_concrete(failed):
        return
    lost, most = np.flatnonzero(np.asarray(failed)).tolist(), float(np.max(np.asarray(damping), initial=damp))
    if lost or most > damp * (1 + 1e-6):
        what = f"damping grew from {damp:g} to {most:g}"
        if lost:
            what = f"no factor up to damping {most:g}, so it is rounded to nearest (layers {lost[:8]} of its stack)"
        warnings.warn(
            f"gptq: {path!r}: the second moments of its inputs are not positive definite; {what}; observe more data, "
            "or set a larger damp=",
            LeftOutWarning,
            stacklevel=2,
        )


def _whole(x: jax.Array, gram: jax.Array, ratio: Any, shaped: Layout, blocks: tuple[int, ...], rule: Rule) -> Any:
    """`_solve` under automatic sharding, or in NumPy; scales lie as their blocks do."""
    host, grams = on_host(x), on_host(gram)
    if host is not None and grams is not None and takes(rule.grid, rule.group):
        scale, zero_point = _fit(x, blocks, rule.grid, ratio)
        known = HostScales(np.asarray(scale), None if zero_point is None else np.asarray(zero_point))
        weights, found, damping, failed = solve_on_host(host, grams, known, shaped, blocks, rule)
        zeros = None if found.zero_point is None else jnp.asarray(found.zero_point)
        return jnp.asarray(weights), Scales(jnp.asarray(found.scale), zeros), damping, failed
    by_block, leaf = block_sharding(x, blocks), explicit(jax.typeof(x))
    whole = None if leaf is None else leaf.update(spec=jax.sharding.PartitionSpec())
    scales = Scales(by_block, None if rule.grid.symmetric else by_block)
    return with_shardings(
        lambda x, gram, ratio: _solve(x, gram, ratio, shaped, blocks, rule), (leaf, scales, whole, whole)
    )(x, gram, ratio)


_fit = jax.jit(fit, static_argnums=(1, 2))


# One program for all leaves of a shape, and no memory for two leaves at once.
@functools.partial(jax.jit, static_argnums=(3, 4, 5), inline=True)
def _solve(
    x: jax.Array, gram: jax.Array, ratio: jax.Array | None, shaped: Layout, blocks: tuple[int, ...], rule: Rule
) -> tuple[jax.Array, Scales, jax.Array, jax.Array]:
    """Rounded weights of the leaf's shape, scales by block, damping and failure of every layer."""
    first = (shaped.inputs[-1:] + shaped.inputs[:-1]) if rule.group else shaped.inputs
    places = np.arange(gram.shape[-1]).reshape([x.shape[a] for a in shaped.inputs])
    places = np.moveaxis(places, -1, 0).ravel() if rule.group else places.ravel()
    shaped = shaped._replace(inputs=first)
    grams = wide(gram).reshape(-1, *gram.shape[-2:])[:, places][:, :, places]
    scale, zero_point = fit(x, blocks, rule.grid, ratio)

    weights = shaped.matrices(wide(x))
    # Layers and outputs are solved on their own: every device has some of them, and all of their inputs.
    by_layer = everywhere(weights, 0)
    part = functools.partial(split, axis=0 if by_layer else 2)

    def spread(s: jax.Array) -> jax.Array:
        return part(shaped.matrices(jnp.broadcast_to(expand_blocks(s, x.shape), x.shape)))

    weights, grams = part(weights), split(grams, 0) if by_layer else grams
    known = Scales(spread(scale), None if zero_point is None else spread(zero_point))
    layers, inputs, outputs = weights.shape
    solve = functools.partial(compensate, rule=rule)
    together = max(1, min(layers, _TOGETHER // (inputs * (inputs + outputs))))
    found = (
        jax.vmap(solve)(weights, grams, known)
        if by_layer
        else jax.lax.map(lambda layer: solve(*layer), (weights, grams, known), batch_size=together)
    )
    scales = jax.tree.map(lambda s: shaped.leaf(s, x.shape)[_firsts(x.shape, blocks)], found.scales)
    return alike(shaped.leaf(found.weights, x.shape).astype(jnp.float32), x), scales, found.damping, found.failed


def _firsts(shape: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[slice, ...]:
    """The first entry of every block."""
    return tuple(slice(None, None, n // b) for n, b in zip(shape, blocks, strict=True))
