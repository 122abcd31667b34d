"""Quantization-aware training: the forward pass uses the grid, the optimizer updates floats."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values
from compressjax.core._unfit import each
from compressjax.numerics._numerics import straight_through
from compressjax.quant._grid import Grid, best_ratio, check_range, make_grid, quantize
from compressjax.tensors import Quantized

Arrays = dict[str, jax.Array]


class FakeQuantState(NamedTuple):
    """State of `fake_quant`.

    Attributes:
        count: Number of steps, int32 scalar.
        ratios: `{path: clipping ratio of every block}`; empty where nothing is clipped.
        absmax: `{path: largest magnitude of the observed inputs}`; empty unless activations are static.
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    ratios: Arrays
    absmax: Arrays


def fake_quant(
    bits: int | str | Grid = 8,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    begin: int = 0,
    order: tuple[int, ...] | None = None,
    axis: int | tuple[int, ...] | None = None,
    clip: str | tuple[str, float] | None = None,
    every: int = 100,
    fallback: str = "skip",
    scale: str | None = None,
    second: str | int | None = None,
) -> Compression:
    """Trains weights through rounding, with straight-through gradients.

    .. math:: \\hat W = s\\,(clip(round(W / s) + z) - z), \\qquad
        \\frac{\\partial L}{\\partial W} = \\frac{\\partial L}{\\partial \\hat W} \\cdot [W \\text{ within the grid}]

    Scales are computed from the weights at every step. From step `begin` on, the stored weights equal the trained view,
    bit for bit. Exact zeros stay zero, except in binary. Below 6 bits, recovers most of the accuracy that `rtn` loses.

    Args:
        bits: As for `rtn`.
        granularity: As for `rtn`.
        symmetric: As for `rtn`.
        activation: As for `rtn`; stored in the nodes for inference, not simulated in training. `"static"` takes the
            largest magnitude over all `stats` passed to `after_step`.
        begin: Number of first steps without rounding, where `view` is dense.
        order: As for `rtn`.
        axis: As for `rtn`.
        clip: As for `rtn`; ranges other than the largest magnitude are found at `init` and every `every` steps.
        every: Steps between searches, at least 1.
        fallback: As for `rtn`.
        scale: As for `rtn`.
        second: As for `rtn`.

    Returns:
        Compression whose nodes are `Quantized`.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if a leaf is not finite, or static activations were
            never observed.

    Example:
        >>> qat = fake_quant(2)
        >>> params = {"kernel": jnp.array([[1.0], [0.4], [0.6]])}
        >>> qat.view(params, qat.init(params))["kernel"].ravel().tolist()
        [1.0, 0.0, 1.0]

    Source: Jacob et al., arXiv:1712.05877 (jacob2018); gradient: Bengio et al., arXiv:1308.3432 (bengio2013).
    """
    grid = make_grid(
        "fake_quant", bits, granularity, symmetric, axis, order, activation, clip, fallback, scale=scale, second=second
    )
    if begin < 0 or every < 1:
        raise ValueError(f"fake_quant: begin={begin} must be at least 0 and every={every} at least 1")

    def search(flat: Arrays) -> Arrays:
        found = {path: best_ratio(path, x, grid) for path, x in flat.items()}
        return {path: ratio for path, ratio in found.items() if ratio is not None}

    def init(flat: Arrays) -> FakeQuantState:
        absmax = dict.fromkeys(flat, jnp.zeros((), jnp.float32)) if grid.activation == "static" else {}
        return FakeQuantState(jnp.zeros((), jnp.int32), search(flat), absmax)

    def after_step(flat: Arrays, state: FakeQuantState, stats: Any) -> tuple[Arrays, FakeQuantState]:
        step, ratios, absmax = state.count + 1, state.ratios, state.absmax
        if ratios:
            ratios = jax.lax.cond(step % every == 0, lambda: search(flat), lambda: state.ratios)
        if stats is not None:
            absmax = {p: jnp.maximum(a, jnp.max(stats[p].absmax)) if p in stats else a for p, a in absmax.items()}
        return flat, FakeQuantState(step, ratios, absmax)

    def node(path: str, x: jax.Array, state: FakeQuantState) -> tuple[Quantized, jax.Array]:
        return quantize(path, x, grid, state.ratios.get(path), state.absmax.get(path))

    def view(flat: Arrays, state: FakeQuantState) -> Arrays:
        viewed = {}
        for path, x in flat.items():
            q, inside = node(path, x, state)
            through = jnp.where(inside, x, jax.lax.stop_gradient(x))
            rounded = straight_through(through, q.materialize())
            viewed[path] = jnp.where(state.count >= begin, rounded, x) if begin else rounded
        return viewed

    def encode(flat: Arrays, state: FakeQuantState) -> dict[str, Quantized]:
        for path in flat:
            check_range("fake_quant", path, state.absmax.get(path))
        return each("fake_quant", flat, lambda path: node(path, flat[path], state)[0])

    return on_values(
        f"fake_quant({grid})",
        init=init,
        view=view,
        encode=encode,
        after_step=after_step,
        needs=("absmax",) if grid.activation == "static" else (),
    )
