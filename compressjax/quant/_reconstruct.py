"""Block reconstruction: all kernels of a block learn their rounding together, from the outputs of the block."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.core._checks import check_finite
from compressjax.core._layout import Layouts, check_layouts, using
from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import each
from compressjax.numerics._numerics import wide
from compressjax.quant._grid import Grid, best_ratio, block_shape, fit, make_grid, place
from compressjax.quant._soften import Room, Schedule, adam, harden, neighbor, regularizer, soften, start

Arrays = dict[str, jax.Array]


def reconstruct(
    fn: Callable[[Any, Any], Any],
    params: Any,
    inputs: Any,
    bits: int | str | Grid = 4,
    *,
    targets: Any = None,
    select: Selector = kernels,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    clip: str | None = None,
    fallback: str = "skip",
    steps: int = 300,
    learning_rate: float = 0.02,
    penalty: float = 20.0,
    layout: Layouts | None = None,
) -> Any:
    """Rounds the kernels of a block up or down so that its outputs change least.

    .. math:: \\min_V N \\frac{\\|f(\\hat W_V, x) - y\\|^2}{\\|f(\\hat W_0, x) - y\\|^2}
        + \\lambda \\sum (1 - |2 h(V) - 1|^\\beta)

    with the `N` weights of all kernels, rounding to nearest `W_0`, and the soft codes and schedule of `adaround`. What
    one kernel loses, the others of the block regain. A step runs the block and its gradient on all inputs. Where the
    result is worse than rounding to nearest, that is kept.

    Args:
        fn: The block, `fn(params, inputs)`; its outputs are compared as they are.
        params: Its parameters.
        inputs: Its calibration inputs, for example those that the quantized blocks before it give.
        bits: As for `rtn`: the bits, the name of an integer format, or a ready `grid`.
        targets: Outputs to come close to; None takes those of `fn(params, inputs)`.
        select: Selector of the kernels.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        axis: As for `grid`.
        order: As for `grid`.
        clip: As for `grid`.
        fallback: As for `grid`, but leaves that do not fit are refused.
        steps: Steps of Adam, at least 10.
        learning_rate: That of Adam, above 0.
        penalty: The weight `lambda`, at least 0.
        layout: As for `compress`.

    Returns:
        The parameters with `Quantized` nodes for the kernels.

    Raises:
        ValueError: If a setting is out of range, nothing is selected, or inputs or outputs are not finite.

    Example:
        >>> params = {"a": jnp.array([[0.4, 1.0]]), "b": jnp.array([[0.4], [1.0]])}
        >>> small = reconstruct(lambda p, x: x @ p["a"] @ p["b"], params, jnp.ones((1, 1)), 2)
        >>> sorted(small)
        ['a', 'b']

    Source: Li et al., arXiv:2102.05426 (li2021), without the Fisher weights.
    """
    grid = make_grid("reconstruct", bits, granularity, symmetric, axis, order, None, clip, fallback)
    if grid.form.kind != "int" or grid.activation is not None:
        raise ValueError(f"reconstruct: {grid} must be a grid of integers, without integer activations")
    if as_int("reconstruct", "steps", steps) < 10:
        raise ValueError(f"reconstruct: steps={steps} must be at least 10; 300 is usual")
    rate, weight = (
        as_number("reconstruct", "learning_rate", learning_rate),
        as_number("reconstruct", "penalty", penalty),
    )
    if rate <= 0 or weight < 0:
        raise ValueError(f"reconstruct: learning_rate={rate} must be above 0 and penalty={weight} at least 0")
    with using(None if layout is None else check_layouts(layout)):
        chosen = {path: x for path, x in values(params).items() if matches(select, path, x)}
        if not chosen:
            raise ValueError(f"reconstruct: select={select!r} selects nothing of {sorted(values(params))[:12]}")
        wanted = jax.jit(fn)(params, inputs) if targets is None else targets
        for name, tree in (("inputs", inputs), ("outputs", wanted)):
            for leaf in jax.tree.leaves(tree):
                check_finite("reconstruct", name, leaf, "numbers", "leave out the examples that have them")
        scales = each("reconstruct", chosen, lambda path: _scales(path, chosen[path], grid))
        rule = Schedule(int(steps), float(rate), float(weight), 0)
        found = _search(fn, params, chosen, scales, inputs, wanted, grid, rule)
        nodes = {p: place(p, found[p], grid, *scales[p])[0].convert(x.dtype) for p, x in chosen.items()}
    return with_values(params, nodes)


def _scales(path: str, x: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array | None]:
    check_finite("reconstruct", path, x)
    ratio = best_ratio(path, x, grid)
    return fit(wide(x), block_shape(path, x.shape, grid), grid, ratio)


@partial(jax.jit, static_argnums=(0, 6, 7))
def _search(
    fn: Callable[[Any, Any], Any],
    params: Any,
    chosen: Arrays,
    scales: Mapping[str, Any],
    inputs: Any,
    wanted: Any,
    grid: Grid,
    rule: Schedule,
) -> Arrays:
    """Rounded weights by path."""
    rooms: dict[str, Room] = {
        p: start(wide(x).astype(jnp.float32), scales[p][0], scales[p][1], grid) for p, x in chosen.items()
    }

    def lost(weights: Arrays) -> jax.Array:
        made = fn(with_values(params, {p: w.astype(chosen[p].dtype) for p, w in weights.items()}), inputs)
        pairs = zip(jax.tree.leaves(made), jax.tree.leaves(wanted), strict=True)
        return sum((jnp.sum(jnp.square(wide(a) - wide(b))) for a, b in pairs), jnp.zeros(()))

    def hard(v: Arrays) -> Arrays:
        return {p: jnp.where(harden(v[p]), neighbor(r, 1.0), neighbor(r, 0.0)) for p, r in rooms.items()}

    first = {p: r.start for p, r in rooms.items()}
    plain = lost(hard(first))
    level = jnp.where(plain > 0, plain / sum(x.size for x in chosen.values()), 1.0)

    def loss(v: Arrays, i: jax.Array) -> jax.Array:
        penalties = (regularizer(rule, r, v[p], i) for p, r in rooms.items())
        return lost({p: soften(r, v[p]) for p, r in rooms.items()}) / level + sum(penalties, jnp.zeros(()))

    found = hard(adam(rule, loss, first))
    better = lost(found) < plain
    return jax.tree.map(lambda x, y: jnp.where(better, x, y), found, hard(first))
