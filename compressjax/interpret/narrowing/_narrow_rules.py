"""Rules of operations whose parameters contain sizes: they run with the reduced sizes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.coupling._label_entries import SOURCES
from compressjax.interpret.coupling._labels import Labels
from compressjax.interpret.jaxpr._bind import bind

Emit = Callable[[Any, Any, Sequence[Any], Sequence[Labels], Sequence[Labels]], list[Any]]


def take(x: Any, axis: int, positions: np.ndarray | None) -> Any:
    """Takes ascending positions of an axis (None for all), with a slice if they are contiguous."""
    if positions is None:
        return x
    if len(positions) and positions[-1] - positions[0] == len(positions) - 1:
        return jax.lax.slice_in_dim(x, int(positions[0]), int(positions[-1]) + 1, axis=axis)
    return jnp.take(x, positions, axis=axis, mode="clip")


def rebind(eqn: Any, inputs: Sequence[Any], **changes: Any) -> list[Any]:
    """Runs an equation with some parameters changed."""
    out = eqn.primitive.bind(*inputs, **{**eqn.primitive.get_bind_params(eqn.params), **changes})
    return list(out) if eqn.primitive.multiple_results else [out]


def _source(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    del ins
    return [cutter.cut(x, labels) for x, labels in zip(bind(eqn, inputs), outs, strict=True)]


def _reshape(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    del ins
    return rebind(eqn, inputs, new_sizes=cutter.sizes(outs[0], eqn.params["new_sizes"]))


def _broadcast(
    cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]
) -> list[Any]:
    del ins
    return rebind(eqn, inputs, shape=cutter.sizes(outs[0], eqn.params["shape"]))


def _picked(cutter: Any, x: Any, labels: Labels, axis: int, wanted: np.ndarray) -> Any:
    """Takes those of the wanted positions that are kept."""
    kept = cutter.kept(labels.axes[axis])
    return x if kept is None else take(x, axis, np.flatnonzero(np.isin(kept, wanted)))


def _slice(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    del outs
    x, p = inputs[0], eqn.params
    starts, limits = list(p["start_indices"]), list(p["limit_indices"])
    steps = list(p["strides"] or (1,) * len(starts))
    for axis, vector in enumerate(ins[0].axes):
        if cutter.kept(vector) is not None:
            wanted = np.arange(starts[axis], limits[axis], steps[axis])
            x = _picked(cutter, x, ins[0], axis, wanted)
            starts[axis], limits[axis], steps[axis] = 0, x.shape[axis], 1
    return [jax.lax.slice(x, starts, limits, steps)]


def _split(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    axis = eqn.params["axis"]
    if cutter.kept(ins[0].axes[axis]) is None:
        return bind(eqn, inputs)
    return rebind(eqn, inputs, sizes=tuple(cutter.shape(labels)[axis] for labels in outs))


def _conv(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    del outs
    numbers = eqn.params["dimension_numbers"]
    channels = cutter.shape(ins[0])[numbers.lhs_spec[1]]
    return rebind(eqn, inputs, feature_group_count=channels // cutter.shape(ins[1])[numbers.rhs_spec[1]])


def _pad(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    config = []
    for axis, (low, high, inner) in enumerate(eqn.params["padding_config"]):
        kept = cutter.kept(outs[0].axes[axis])
        if kept is not None:
            first, last = low, low + len(ins[0].axes[axis])
            low, high = int((kept < first).sum()), int((kept >= last).sum())
        config.append((low, high, inner))
    return rebind(eqn, inputs, padding_config=tuple(config))


def _sized(cutter: Any, eqn: Any, inputs: Sequence[Any], ins: Sequence[Labels], outs: Sequence[Labels]) -> list[Any]:
    """Reduces the size of windows that span a whole axis."""
    del outs
    return rebind(eqn, inputs, slice_sizes=cutter.sizes(ins[0], eqn.params["slice_sizes"]))


NARROW_RULES: dict[str, Emit] = {
    **dict.fromkeys(SOURCES, _source),
    "reshape": _reshape,
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "split": _split,
    "conv_general_dilated": _conv,
    "pad": _pad,
    "gather": _sized,
    "dynamic_slice": _sized,
}
