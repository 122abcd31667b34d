"""Quantized activations in training: products round their inputs, with ranges that are given, observed or learned."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax.core import Compression, on_values
from compressjax.core._checks import check_statistics, is_concrete
from compressjax.core._learn import learn
from compressjax.core._settings import integers, numbers
from compressjax.quant.grids._scales import SMALLEST
from compressjax.tensors import RoundedInputs
from compressjax.tensors.quantized._inputs import Codes

Arrays = dict[str, jax.Array]
METHODS = ("dynamic", "fixed", "lsq", "moving_average", "pact")


class ActivationsState(NamedTuple):
    """State of `activations`.

    Attributes:
        count: Number of steps, int32 scalar.
        ranges: `{path: float32 scalar}`: the step of `"lsq"`, else the largest input; 0 until it is known. Empty for
            `"dynamic"`.
        inner: State of the optimizer of learned ranges.
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    ranges: Arrays
    inner: Any


def activations(
    bits: int = 8,
    *,
    method: str = "dynamic",
    signed: bool = True,
    limit: float | None = None,
    optimizer: optax.GradientTransformation | None = None,
    begin: int = 0,
    end: int | None = None,
    decay: float = 0.99,
) -> Compression:
    """Rounds the inputs of every product with a kernel, in training and in what is stored.

    .. math:: \\hat x = s\\,round(clip(x / s, low, high)), \\quad high = 2^{b-1} - 1 \\text{ or } 2^b - 1

    Weights stay as they are: chain a grid for them, `chain(activations(4, method="lsq"), lsq(4))`. Products of integer
    grids then run in integers, up to 7 bits unsigned or 8 bits signed. Ranges are:

    ==================  ============================================================================================
    `"dynamic"`         `s = max|x| / high` for every row, or image of a convolution
    `"fixed"`           `s = limit / high`; with `limit=1, signed=False` the activations of DoReFa
    `"moving_average"`  `s = r / high`, `r <- decay r + (1 - decay) max|x|`, from the `stats` of every step
    `"lsq"`             `s` is learned by the gradient of LSQ, from `2 mean|x| / sqrt(high)`
    `"pact"`            the range `s high` is learned by the gradient of PACT, from `max|x|`
    ==================  ============================================================================================

    The last three start from the first statistics of `observe` that `after_step` is given (`update(..., stats=)`), or
    from `limit`; before that, nothing is rounded. The last two learn from `slopes`, the gradients with respect to the
    state: `jax.grad(loss, (0, 1), allow_int=True)(params, state.compression)` and `update(..., slopes=)`.

    Args:
        bits: 2 to 8.
        method: One of the table.
        signed: False for inputs that are never negative, as after relu.
        limit: The largest input that the first range holds, above 0; needed by `"fixed"`.
        optimizer: Optimizer of learned ranges; `optax.adam(1e-3)` if None. `optax.add_decayed_weights` before it is the
            penalty of PACT.
        begin: First step at which ranges may change; they are frozen before it.
        end: Step from which ranges are frozen; None for never.
        decay: Of the moving average, from 0 to below 1.

    Returns:
        Compression whose view and whose nodes are `RoundedInputs`.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if a range is not known.

    Example:
        >>> method = activations(2, method="fixed", limit=3.0, signed=False)
        >>> node = method.view({"kernel": jnp.ones((2, 1))}, method.init({"kernel": jnp.ones((2, 1))}))["kernel"]
        >>> from compressjax import lift
        >>> lift(lambda w, x: x @ w)(node, jnp.array([[1.2, 9.0]])).tolist()
        [[4.0]]

    Source: Esser et al., arXiv:1902.08153 (esser2020); Choi et al., arXiv:1805.06085 (choi2018); Zhou et al.,
    arXiv:1606.06160 (zhou2016); moving averages: Jacob et al., arXiv:1712.05877 (jacob2018).
    """
    bits, begin, end, limit, decay = _read(bits, method, limit, optimizer, begin, end, decay)
    codes = Codes(bits, bool(signed), "lsq" if method == "lsq" else "pact")
    learned, dynamic = method in ("lsq", "pact"), method == "dynamic"
    moves = optax.adam(1e-3) if optimizer is None else optimizer
    unit = 1.0 if method == "lsq" else float(codes.high)  # what a range is measured in, in steps
    observes = not dynamic and limit is None

    def moving(count: jax.Array) -> jax.Array:
        return (count >= begin) & (True if end is None else count < end)

    def init(flat: Arrays) -> ActivationsState:
        first = 0.0 if limit is None else limit * unit / codes.high
        ranges = {} if dynamic else {path: jnp.full((), first, jnp.float32) for path in flat}
        return ActivationsState(jnp.zeros((), jnp.int32), ranges, moves.init(ranges) if learned else ())

    def nodes(flat: Arrays, state: ActivationsState) -> dict[str, RoundedInputs]:
        steps = {path: None if dynamic else state.ranges[path] * np.float32(1 / unit) for path in flat}
        return {path: RoundedInputs(x, steps[path], *codes) for path, x in flat.items()}

    def encode(flat: Arrays, state: ActivationsState) -> dict[str, RoundedInputs]:
        _check_known(flat, state.ranges)
        return nodes(flat, state)

    def learn_ranges(slopes: ActivationsState, state: ActivationsState) -> ActivationsState:
        return _learned(slopes, state, moves, moving(state.count)) if learned else state

    def after_step(flat: Arrays, state: ActivationsState, stats: Any) -> tuple[Arrays, ActivationsState]:
        ranges = state.ranges
        if stats is not None and method not in ("dynamic", "fixed"):
            followed = decay if method == "moving_average" else 1.0
            ranges = _observed(ranges, stats, codes, followed, moving(state.count))
        return flat, ActivationsState(state.count + 1, ranges, state.inner)

    return on_values(
        f"activations(bits={bits}, method={method}{'' if signed else ', unsigned'})",
        init=init,
        view=nodes,
        encode=encode,
        after_step=after_step,
        learn=learn_ranges if learned else None,
        learns=learned,
        needs=("absmax", *(("count", "total", "squares") if method == "lsq" else ())) if observes else (),
    )


def _learned(
    slopes: ActivationsState, state: ActivationsState, optimizer: optax.GradientTransformation, moving: jax.Array
) -> ActivationsState:
    """One step of learned ranges; those that are not known stay so, and all stay while they are frozen."""
    moved, inner = learn(optimizer, slopes.ranges, state.inner, state.ranges)
    moved = {p: jnp.where(state.ranges[p] > 0, jnp.maximum(x, SMALLEST), 0.0) for p, x in moved.items()}
    kept = partial(jax.tree.map, partial(jnp.where, moving))
    return state._replace(ranges=kept(moved, state.ranges), inner=kept(inner, state.inner))


def _observed(ranges: Arrays, stats: Mapping[str, Any], codes: Codes, decay: float, moving: jax.Array) -> Arrays:
    """Ranges after statistics: the first ones as they are, later ones averaged."""
    found = {path: stats[path] for path in ranges if path in stats}
    check_statistics("activations", found)
    after = dict(ranges)
    for path, seen in found.items():
        old, new = ranges[path], _first(seen, codes)
        usable = moving & jnp.isfinite(new) & (new > 0)
        after[path] = jnp.where(usable, jnp.where(old > 0, decay * old + (1 - decay) * new, new), old)
    return after


def _read(bits: Any, method: Any, limit: Any, optimizer: Any, begin: Any, end: Any, decay: Any) -> tuple[Any, ...]:
    """The settings that are numbers, after checks of all."""
    bits, begin, end = integers("activations", bits=bits, begin=begin, end=end)
    limit, decay = numbers("activations", limit=limit, decay=decay)
    if method not in METHODS:
        raise ValueError(f"activations: method={method!r} must be one of {METHODS}")
    if not 2 <= bits <= 8:
        raise ValueError(f"activations: bits={bits} must be from 2 to 8")
    if begin < 0 or (end is not None and end < begin):
        raise ValueError(f"activations: begin={begin} must be at least 0, and end={end} at least begin")
    if not 0 <= decay < 1:
        raise ValueError(f"activations: decay={decay} must be at least 0 and below 1; 0.99 is usual")
    if limit is not None and not 0 < limit < float("inf"):
        raise ValueError(f"activations: limit={limit} must be above 0")
    if method == "fixed" and limit is None:
        raise ValueError("activations: method='fixed' needs limit=, the largest input, such as limit=1.0")
    if method == "dynamic" and limit is not None:
        raise ValueError(f"activations: limit={limit} has no effect on dynamic ranges; use method='fixed'")
    if optimizer is not None and method not in ("lsq", "pact"):
        raise ValueError(f"activations: method={method!r} learns no range, so optimizer= would have no effect")
    return bits, begin, end, limit, decay


def _check_known(paths: Iterable[str], ranges: Arrays) -> None:
    """Raises if a range is known to be unknown."""
    missing = [p for p in paths if p in ranges and is_concrete(ranges[p]) and not 0 < float(ranges[p]) < float("inf")]
    if missing:
        raise ValueError(
            f"activations: no range is known for the inputs of {missing[:8]}; pass stats= of observe to a step between "
            "begin and end, on data that reaches them, or set limit="
        )


def _first(seen: Any, codes: Codes) -> jax.Array:
    """The range that statistics suggest: `max|x|`, or the step of LSQ; one for all layers of a stack.

    Statistics have no mean magnitude: it is the mean of inputs that are not negative, and for others that of normally
    distributed inputs with their mean square.
    """
    if codes.rule == "pact":
        return jnp.max(seen.absmax).astype(jnp.float32)
    count = jnp.maximum(jnp.sum(seen.count) * seen.squares.shape[-1], 1)
    if codes.signed:
        magnitude = np.float32(np.sqrt(2 / np.pi)) * jnp.sqrt(jnp.sum(seen.squares) / count)
    else:
        magnitude = jnp.sum(jnp.maximum(seen.total, 0)) / count
    return np.float32(2 / np.sqrt(codes.high)) * magnitude
