"""Label rules of layout changes: atoms move with their positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from compressjax.interpret.coupling._atoms import Vector
from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place, Rule, unknown
from compressjax.numerics._factored import factored

ALONE = "one of its positions is read alone"


def _axis(x: Labels, axis: int) -> tuple[Vector, bool]:
    return x.axes[axis], x.vanishes(axis)


def _made(parts: Sequence[tuple[Vector, bool]], value: float | None = None) -> list[Labels]:
    return [Labels(tuple(v for v, _ in parts), tuple(z for _, z in parts), value)]


def _reshape(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    x, new = inputs[0], eqn.params["new_sizes"]
    if eqn.params["dimensions"] is not None or len(inputs) > 1 or 0 in new:
        return unknown(labeled, eqn, inputs, place)
    return [reshaped(labeled, x, new)]


def reshaped(labeled: LabeledTrace, x: Labels, new: Sequence[int]) -> Labels:
    """Labels after a row-major reshape: merged axes become products, split axes become factors."""
    axes: dict[int, Vector] = {}
    zero: dict[int, bool] = {}
    for olds, news in factored(x.shape, new):
        if not news:
            continue
        parts = [x.axes[a] for a in olds] or [labeled.unit()]
        rest = labeled.atoms.merge(parts)
        flag = all(x.vanishes(a) for a in olds if not labeled.atoms.stays(x.axes[a]))
        for axis in news[:-1]:
            axes[axis], rest = labeled.atoms.split(rest, new[axis])
        axes[news[-1]] = rest
        zero.update(dict.fromkeys(news, flag))
    return Labels(tuple(axes[a] for a in range(len(new))), tuple(zero[a] for a in range(len(new))), x.value)


def _broadcast(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    if len(inputs) > 1:
        return unknown(labeled, eqn, inputs, place)
    x, shape = inputs[0], eqn.params["shape"]
    out = labeled.new(shape, zero=x.value == 0, value=x.value)
    axes, zero = list(out.axes), list(out.zero)
    for old, axis in enumerate(eqn.params["broadcast_dimensions"]):
        if len(x.axes[old]) == shape[axis]:
            axes[axis], zero[axis] = _axis(x, old)
    return [Labels(tuple(axes), tuple(zero), x.value)]


def _transpose(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del labeled, place
    return _made([_axis(inputs[0], a) for a in eqn.params["permutation"]], inputs[0].value)


def _squeeze(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, gone = inputs[0], [a % len(inputs[0].axes) for a in eqn.params["dimensions"]]
    for a in gone:
        labeled.atoms.freeze(x.axes[a], ALONE)
    return _made([_axis(x, a) for a in range(len(x.axes)) if a not in gone], x.value)


def _window(labeled: LabeledTrace, x: Labels, axis: int, picked: np.ndarray) -> Labels:
    """Selects positions of one axis; if only one is selected, it is frozen."""
    vector = x.axes[axis][picked]
    if len(vector) == 1 < len(x.axes[axis]):
        labeled.atoms.freeze(vector, ALONE)
    axes = tuple(vector if a == axis else v for a, v in enumerate(x.axes))
    return Labels(axes, x.zero, x.value)


def _slice(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, p = inputs[0], eqn.params
    steps = p["strides"] or (1,) * len(x.axes)
    for axis, (lo, hi, step) in enumerate(zip(p["start_indices"], p["limit_indices"], steps, strict=True)):
        if (lo, hi, step) != (0, len(x.axes[axis]), 1):
            x = _window(labeled, x, axis, np.arange(lo, hi, step))
    return [x]


def _split(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    axis, ends = eqn.params["axis"], np.cumsum(eqn.params["sizes"])
    parts = np.split(np.arange(len(inputs[0].axes[axis])), ends[:-1])
    return [_window(labeled, inputs[0], axis, part) for part in parts]


def _unstack(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, axis = inputs[0], eqn.params["axis"]
    labeled.atoms.freeze(x.axes[axis], ALONE)
    rest = [_axis(x, a) for a in range(len(x.axes)) if a != axis]
    return _made(rest, x.value) * len(x.axes[axis])


def _reverse(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del labeled, place
    x, turned = inputs[0], eqn.params["dimensions"]
    return [x._replace(axes=tuple(v[::-1] if a in turned else v for a, v in enumerate(x.axes)))]


def _concatenate(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    joined = eqn.params["dimension"]
    for x in inputs[1:]:
        for axis in range(len(x.axes)):
            if axis != joined:
                labeled.atoms.unify(inputs[0].axes[axis], x.axes[axis])
    axes = list(inputs[0].axes)
    axes[joined] = np.concatenate([x.axes[joined] for x in inputs])
    zero = tuple(all(x.vanishes(a) for x in inputs) for a in range(len(axes)))
    same = {x.value for x in inputs}
    return [Labels(tuple(axes), zero, inputs[0].value if len(same) == 1 else None)]


def _stack(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Couples the operands; the new axis stays, so a reshape that interleaves the operands keeps their units."""
    del place
    for x in inputs[1:]:
        labeled.align(inputs[0], x)
    parts = [(v, all(x.vanishes(a) for x in inputs)) for a, v in enumerate(inputs[0].axes)]
    parts.insert(eqn.params["axis"], (labeled.atoms.void("the axis of a stack of arrays", len(inputs)), False))
    same = {x.value for x in inputs}
    return _made(parts, inputs[0].value if len(same) == 1 else None)


def _pad(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, fill = inputs
    axes, zero = [], []
    for axis, (low, high, inner) in enumerate(eqn.params["padding_config"]):
        vector, size = x.axes[axis], eqn.outvars[0].aval.shape[axis]
        flag = x.vanishes(axis)
        if inner == 0 and low >= 0 and high >= 0:
            if low or high:
                vector = np.concatenate([labeled.atoms.fresh(low), vector, labeled.atoms.fresh(high)])
                flag = flag and fill.value == 0
        else:
            reason = "interior or negative padding depends on its length"
            labeled.atoms.freeze(vector, reason)
            vector, flag = labeled.atoms.void(reason, size), False
        axes.append(vector)
        zero.append(flag)
    return [Labels(tuple(axes), tuple(zero), x.value if x.value == fill.value else None)]


def _tile(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del labeled, place
    x = inputs[0]
    return [x._replace(axes=tuple(np.tile(v, n) for v, n in zip(x.axes, eqn.params["reps"], strict=True)))]


LAYOUT_LABELS: dict[str, Rule] = {
    "reshape": _reshape,
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "slice": _slice,
    "split": _split,
    "unstack": _unstack,
    "rev": _reverse,
    "concatenate": _concatenate,
    "stack": _stack,
    "pad": _pad,
    "tile": _tile,
}
