"""Label rules of operations that combine positions: products, convolutions, reductions, windows."""

from collections.abc import Iterable, Sequence
from typing import Any

from compressjax.interpret.coupling._label_indexing import EXPERTS
from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place, Rule, unknown

SUMMED = "summed by {}: a mean divides by the full width in narrow, by the smaller width in a rebuilt model"
INEXACT = (
    "summed by {}, where masked positions are not zero; make them zero before the sum (for a variance of centered "
    "units, write mean(x * x) - mean(x) ** 2, as Flax's norms do with use_fast_variance)"
)


def _whole(labeled: LabeledTrace, x: Labels, axes: Iterable[int], reason: str) -> None:
    for axis in axes:
        labeled.atoms.freeze(x.axes[axis], reason)


def _dot(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    return _multiplied(labeled, eqn, inputs, eqn.params["dimension_numbers"])


def _multiplied(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], numbers: Any) -> list[Labels]:
    """Couples summed and shared axes; the result has the shared axes, then the free ones of both operands."""
    (a, b), ((a_sum, b_sum), (a_batch, b_batch)) = inputs, numbers
    for i, j in zip((*a_sum, *a_batch), (*b_sum, *b_batch), strict=True):
        labeled.atoms.unify(a.axes[i], b.axes[j])
    for i, j in zip(a_sum, b_sum, strict=True):
        labeled.sum(a.axes[i])
        if not (a.vanishes(i) or b.vanishes(j)):
            labeled.atoms.freeze(a.axes[i], INEXACT.format(eqn.primitive.name))
    parts = [(a.axes[i], a.vanishes(i) or b.vanishes(j)) for i, j in zip(a_batch, b_batch, strict=True)]
    for x, used in ((a, (*a_sum, *a_batch)), (b, (*b_sum, *b_batch))):
        parts += [(x.axes[i], x.vanishes(i)) for i in range(len(x.axes)) if i not in used]
    return [Labels(tuple(v for v, _ in parts), tuple(z for _, z in parts))]


def _ragged(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """A product per expert; only rows may be grouped, and the experts stay, since data chooses among them."""
    (x, w, sizes), numbers = inputs, eqn.params["ragged_dot_dimension_numbers"]
    ragged, group = numbers.lhs_ragged_dimensions[0], numbers.rhs_group_dimensions
    (x_sum, w_sum), (x_batch, w_batch) = numbers.dot_dimension_numbers
    if ragged in (*x_sum, *x_batch):
        return unknown(labeled, eqn, inputs, place)
    _whole(labeled, x, [ragged], EXPERTS)
    _whole(labeled, w, group, EXPERTS)
    labeled.freeze([sizes], EXPERTS)
    # Without the axis of the experts, it is a plain product.
    rest = [a for a in range(len(w.axes)) if a not in group]
    plain = Labels(tuple(w.axes[a] for a in rest), tuple(w.vanishes(a) for a in rest), w.value)
    moved = tuple(tuple(rest.index(a) for a in axes) for axes in (w_sum, w_batch))
    return _multiplied(labeled, eqn, (x, plain), ((x_sum, moved[0]), (x_batch, moved[1])))


def _conv(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Couples channels; with feature groups, a channel axis is a product of the group and the position in it."""
    (x, kernel), p, atoms = inputs, eqn.params, labeled.atoms
    numbers, groups = p["dimension_numbers"], p["feature_group_count"]
    if p["batch_group_count"] != 1:
        return unknown(labeled, eqn, inputs, place)
    (batch, channel, *spatial), (k_out, k_in, *window) = numbers.lhs_spec, numbers.rhs_spec
    _whole(labeled, x, spatial, "a spatial axis of a convolution")
    _whole(labeled, kernel, window, "a window axis of a convolution")
    if groups == 1:
        atoms.unify(x.axes[channel], kernel.axes[k_in])
        out_axis, out_zero = kernel.axes[k_out], kernel.vanishes(k_out)
    else:
        group, inner = atoms.split(x.axes[channel], groups)
        k_group, outer = atoms.split(kernel.axes[k_out], groups)
        atoms.unify(inner, kernel.axes[k_in])
        atoms.unify(group, k_group)
        out_axis = atoms.merge([group, outer])
        out_zero = kernel.vanishes(k_out)
    labeled.sum(kernel.axes[k_in])
    if not (x.vanishes(channel) or kernel.vanishes(k_in)):
        atoms.freeze(x.axes[channel], INEXACT.format("a convolution"))
    out = labeled.blank(eqn.outvars[0].aval.shape, "a spatial axis of a convolution")
    axes, zero = list(out.axes), list(out.zero)
    o_batch, o_channel = numbers.out_spec[:2]
    axes[o_batch], zero[o_batch] = x.axes[batch], x.vanishes(batch)
    axes[o_channel], zero[o_channel] = out_axis, out_zero
    return [Labels(tuple(axes), tuple(zero))]


def _sum(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    x = inputs[0]
    for axis in eqn.params["axes"]:
        labeled.sum(x.axes[axis])
        if x.vanishes(axis):
            labeled.atoms.remark(x.axes[axis], SUMMED.format("reduce_sum"))
        else:
            labeled.atoms.freeze(x.axes[axis], INEXACT.format("reduce_sum"))
    return _reduced(labeled, eqn, inputs, place)


def _reduced(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del labeled, place
    x = inputs[0]
    left = [a for a in range(len(x.axes)) if a not in eqn.params["axes"]]
    return [Labels(tuple(x.axes[a] for a in left), tuple(x.vanishes(a) for a in left)) for _ in eqn.outvars]


def _reduce(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    _whole(labeled, inputs[0], eqn.params["axes"], f"reduced by {eqn.primitive.name}, for which zero is not neutral")
    return _reduced(labeled, eqn, inputs, place)


def _along(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Cumulative operations and sorts: freezes their axis; all other axes pass through."""
    del place
    axis = eqn.params["axis"] if "axis" in eqn.params else eqn.params["dimension"]
    for x in inputs:
        _whole(labeled, x, [axis], f"ordered along this axis by {eqn.primitive.name}")
        labeled.align(inputs[0], x)
    return [x._replace(value=None) for x in inputs]


def _pool(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Axes with a window of size 1 pass through; all others are spatial."""
    p, shape = eqn.params, eqn.outvars[0].aval.shape
    x = inputs[0]
    if len(eqn.outvars) != 1 or any(len(other.axes) for other in inputs[1:]):
        return unknown(labeled, eqn, inputs, place)
    rows = zip(p["window_dimensions"], p["window_strides"], p["padding"], strict=True)
    out = labeled.blank(shape, "a spatial axis of a pooling window")
    axes, zero = list(out.axes), list(out.zero)
    for axis, (window, stride, pad) in enumerate(rows):
        if window == 1 and stride == 1 and tuple(pad) == (0, 0):
            axes[axis], zero[axis] = x.axes[axis], x.vanishes(axis)
        else:
            _whole(labeled, x, [axis], "a spatial axis of a pooling window")
    return [Labels(tuple(axes), tuple(zero))]


def _top_k(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del place
    x, last = inputs[0], len(inputs[0].axes) - 1
    axis = eqn.params.get("axis", last) % len(x.axes)
    _whole(labeled, x, [axis], "ordered along this axis by top_k")
    k = labeled.atoms.void("ordered along this axis by top_k", eqn.outvars[0].aval.shape[axis])
    axes = tuple(k if a == axis else v for a, v in enumerate(x.axes))
    return [Labels(axes, (False,) * len(axes)) for _ in eqn.outvars]


PRODUCT_LABELS: dict[str, Rule] = {
    "dot_general": _dot,
    "ragged_dot_general": _ragged,
    "conv_general_dilated": _conv,
    "reduce_sum": _sum,
    **dict.fromkeys(
        ("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor", "argmax", "argmin"),
        _reduce,
    ),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort"), _along),
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min", "reduce_window"), _pool),
    "top_k": _top_k,
}
