"""AdaRound: learns for every weight whether to round up or down, from the second moments of its inputs."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._checks import check_finite
from compressjax.core._layout import Layout
from compressjax.core._settings import as_int, as_number
from compressjax.numerics._explicit import block_sharding, explicit, with_shardings
from compressjax.numerics._numerics import wide
from compressjax.numerics._placement import alike, split
from compressjax.quant._grid import Grid, best_ratio, block_shape, check_range, fit, make_grid, place
from compressjax.quant._soften import Schedule, adam, descend, harden, neighbor, regularizer, soften, start
from compressjax.saliency._layout import layout
from compressjax.tensors import Quantized


def adaround(
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    clip: str | None = None,
    fallback: str = "skip",
    steps: int = 300,
    learning_rate: float = 0.02,
    penalty: float = 20.0,
    passes: int = 5,
) -> Compression:
    """Learns to round every weight up or down so that the outputs of the layer change least.

    .. math:: \\min_V N \\frac{\\mathrm{tr}(D^\\top H D)}{\\mathrm{tr}(D_0^\\top H D_0)}
        + \\lambda \\sum (1 - |2 h(V) - 1|^\\beta), \\quad D = s (\\lfloor W / s \\rfloor + h(V)) - W

    with `h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1)`, second moments `H` of the inputs, and the error of rounding to
    nearest `D_0` of the layer's `N` weights, so that settings fit every layer. `beta` falls from 20 to 2; the penalty
    starts after a fifth of the steps. Adam in one loop that needs only the Gram matrix. Passes over the inputs follow,
    in which a weight goes to its other neighbor where that alone lowers the error: on strongly correlated inputs, Adam
    does not get there. Exact zeros stay zero. Where the result is worse than rounding to nearest, that is kept, for
    each layer of a stack. Bytes and speed are those of `rtn`; time is `steps in^2 out`.

    Args:
        bits: As for `rtn`: the bits, the name of an integer format, or a ready `grid`.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        activation: As for `grid`.
        axis: As for `grid`.
        order: As for `grid`.
        clip: As for `grid`.
        fallback: As for `grid`.
        steps: Steps of Adam, at least 10.
        learning_rate: That of Adam, above 0.
        penalty: The weight `lambda`, at least 0.
        passes: Passes over the inputs after Adam, at least 0.

    Returns:
        Compression whose nodes are `Quantized`; pass `stats=` to `compress`.

    Raises:
        ValueError: If a setting is out of range; from `after_step` and `encode`, if the statistics do not fit a leaf.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.array([[0.4], [0.4], [1.0]])}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[1.0, 1.0, 0.1]]))
        >>> node = compress(params, {".*": adaround(2)}, stats)["kernel"]
        >>> sorted(node.materialize().ravel().tolist())
        [0.0, 1.0, 1.0]

    Source: Nagel et al., arXiv:2004.10568 (nagel2020).
    """
    grid = make_grid("adaround", bits, granularity, symmetric, axis, order, activation, clip, fallback)
    if grid.form.kind != "int":
        raise ValueError(f"adaround: {grid.format} has no even steps to round between; use int2 to int8, or gptq")
    if as_int("adaround", "steps", steps) < 10:
        raise ValueError(f"adaround: steps={steps} must be at least 10; 300 is usual")
    if as_number("adaround", "learning_rate", learning_rate) <= 0 or as_number("adaround", "penalty", penalty) < 0:
        raise ValueError(f"adaround: learning_rate={learning_rate} must be above 0 and penalty={penalty} at least 0")
    if as_int("adaround", "passes", passes) < 0:
        raise ValueError(f"adaround: passes={passes} must be at least 0; 5 is usual")
    rule = Schedule(int(steps), float(learning_rate), float(penalty), int(passes))

    def encode(path: str, x: jax.Array, stats: Any) -> Quantized:
        if stats is None or stats.gram is None:
            raise ValueError(
                f"adaround reads the Gram matrix of the inputs of {path!r}; run observe(fn, gram=True) and pass its "
                "statistics as stats="
            )
        shaped, blocks = layout(path, x.shape, stats), block_shape(path, x.shape, grid)
        absmax = jnp.max(stats.absmax) if grid.activation == "static" else None
        check_range("adaround", path, absmax)
        ratio = best_ratio(path, x, grid)
        by_block = block_sharding(x, blocks)
        weights, scale, zero_point = with_shardings(
            lambda x, gram, ratio: _solve(x, gram, ratio, shaped, blocks, grid, rule),
            (explicit(jax.typeof(x)), by_block, None if grid.symmetric else by_block),
        )(x, stats.gram, ratio)
        check_finite("adaround", path, scale, "scales", "its range overflows float32: scale the weights down")
        return place(path, weights, grid, scale, zero_point, absmax)[0].convert(x.dtype)

    needs = ("gram", "absmax") if grid.activation == "static" else ("gram",)
    return from_encode(f"adaround({grid}, steps={steps})", encode, needs=needs)


@partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _solve(
    x: jax.Array, gram: jax.Array, ratio: Any, shaped: Layout, blocks: tuple[int, ...], grid: Grid, rule: Schedule
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Rounded weights of the leaf's shape, scales and zero points."""
    # Outputs are solved on their own: every device has some of them, and all of their inputs.
    weights = shaped.leaf(split(shaped.matrices(wide(x).astype(jnp.float32)), 2), x.shape)
    scale, zero_point = fit(weights, blocks, grid, ratio)
    room = start(weights, scale, zero_point, grid)
    kernel = shaped.matrices(weights)
    moments = wide(gram).reshape(-1, *gram.shape[-2:])

    def losses(rounded: jax.Array) -> jax.Array:
        wrong = shaped.matrices(rounded) - kernel
        moved = jnp.einsum("lij,ljo->lio", moments, wrong, precision=jax.lax.Precision.HIGHEST)
        return jnp.sum(wrong * moved, axis=(1, 2))

    lower, upper = neighbor(room, 0.0), neighbor(room, 1.0)
    nearest = jnp.where(harden(room.start), upper, lower)
    plain = losses(nearest)
    level = jnp.where(plain > 0, plain / (kernel.shape[1] * kernel.shape[2]), 1.0)

    def loss(v: jax.Array, i: jax.Array) -> jax.Array:
        return jnp.sum(losses(soften(room, v)) / level) + regularizer(rule, room, v, i)

    v = adam(rule, loss, room.start)
    parts = (shaped.matrices(harden(v)), kernel, moments, shaped.matrices(lower), shaped.matrices(upper))
    found = shaped.leaf(jax.lax.map(lambda x: descend(x[0], x[1], x[2], x[3], x[4], rule.passes), parts), x.shape)
    better = shaped.leaf(jnp.broadcast_to((losses(found) < plain)[:, None, None], kernel.shape), x.shape)
    return alike(jnp.where(better, found, nearest), x), scale, zero_point
