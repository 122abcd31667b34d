"""Label rules of indexing: axes that are read or written whole pass through, axes indexed by data are frozen."""

from collections.abc import Sequence
from typing import Any

from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place, Rule

INDEXED = "indexed by data"
EXPERTS = "experts are chosen by data"


def _gather(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    (x, index), p = inputs, eqn.params
    numbers, sizes = p["dimension_numbers"], p["slice_sizes"]
    shared = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
    out = labeled.blank(eqn.outvars[0].aval.shape, INDEXED)
    axes, zero = list(out.axes), list(out.zero)
    labeled.atoms.freeze(index.axes[-1], "coordinates of an index")
    kept = [a for a in range(len(x.axes)) if a not in numbers.collapsed_slice_dims and a not in shared]
    for a in range(len(x.axes)):
        if a not in shared and sizes[a] != len(x.axes[a]):
            labeled.atoms.freeze(x.axes[a], INDEXED)
    for a, i in shared.items():
        labeled.atoms.unify(x.axes[a], index.axes[i])
    for a, place_out in zip(kept, numbers.offset_dims, strict=True):
        if sizes[a] == len(x.axes[a]):
            axes[place_out], zero[place_out] = x.axes[a], x.vanishes(a)
    rest = [a for a in range(len(axes)) if a not in numbers.offset_dims]
    for i, place_out in enumerate(rest):
        axes[place_out] = index.axes[i]
    return [Labels(tuple(axes), tuple(zero))]


def _scatter(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Couples the axes of the updates that span a whole axis of the operand with that axis."""
    del place
    (x, index, new), numbers = inputs, eqn.params["dimension_numbers"]
    shared = dict(zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True))
    labeled.atoms.freeze(index.axes[-1], "coordinates of an index")
    window = iter(numbers.update_window_dims)
    zero = [False] * len(x.axes)
    for a, vector in enumerate(x.axes):
        if a in shared:
            labeled.atoms.unify(vector, index.axes[shared[a]])
            continue
        b = None if a in numbers.inserted_window_dims else next(window)
        if b is not None and len(new.axes[b]) == len(vector) and a not in numbers.scatter_dims_to_operand_dims:
            labeled.atoms.unify(vector, new.axes[b])
            zero[a] = x.vanishes(a) and new.vanishes(b)
            continue
        for each in (vector, *(() if b is None else (new.axes[b],))):
            labeled.atoms.freeze(each, INDEXED)
    rest = [b for b in range(len(new.axes)) if b not in numbers.update_window_dims]
    for i, b in enumerate(rest):
        labeled.atoms.unify(new.axes[b], index.axes[i])
    return [Labels(x.axes, tuple(zero))]


def _dynamic_slice(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, axes, zero = inputs[0], [], []
    for axis, n in enumerate(eqn.params["slice_sizes"]):
        whole = n == len(x.axes[axis])
        if not whole:
            labeled.atoms.freeze(x.axes[axis], INDEXED)
        axes.append(x.axes[axis] if whole else labeled.atoms.void(INDEXED, n))
        zero.append(whole and x.vanishes(axis))
    return [Labels(tuple(axes), tuple(zero), x.value)]


def _dynamic_update(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del eqn, place
    x, new = inputs[:2]
    for a, b in zip(x.axes, new.axes, strict=True):
        if len(a) == len(b):
            labeled.atoms.unify(a, b)
        else:
            labeled.atoms.freeze(a, INDEXED)
            labeled.atoms.freeze(b, INDEXED)
    return [Labels(x.axes, tuple(x.vanishes(a) and new.vanishes(a) for a in range(len(x.axes))))]


INDEXING_LABELS: dict[str, Rule] = {
    "gather": _gather,
    **dict.fromkeys(("scatter", "scatter-add", "scatter_add", "scatter-sub", "scatter_sub"), _scatter),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update,
}
