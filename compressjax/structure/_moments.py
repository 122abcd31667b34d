"""Means and variances of what biases are added to, and of what running statistics normalize."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._loops import scan_counts
from compressjax.interpret.jaxpr._trace import trace
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of, needed, walk
from compressjax.interpret.observing._axes import moved_axes
from compressjax.numerics._numerics import wide

BIAS, MEAN, VARIANCE = "bias", "mean", "variance"
Site = tuple[str, str]  # the path of a leaf, and its role


class Moments(NamedTuple):
    """The number of rows, their mean and squared distances in the shape of the leaf, and how often it is used."""

    count: Any  # type: ignore[assignment]  # hides tuple.count
    mean: Any
    squares: Any
    uses: Any = 1

    @property
    def variance(self) -> Any:
        """Mean squared distance from the mean."""
        return self.squares / self.count


def together(parts: Moments) -> Moments:
    """Moments of all rows, from those of several sets of rows along axis 0."""
    shares = (parts.count / parts.count.sum(0)).reshape(-1, *(1,) * (parts.mean.ndim - 1))
    mean = (shares * parts.mean).sum(0, keepdims=True)
    spread = (shares * (parts.mean - mean) ** 2).sum(0) * parts.count.sum(0)
    return Moments(parts.count.sum(0), mean[0], parts.squares.sum(0) + spread, parts.uses[0])


class _Tag(NamedTuple):
    """What is built from one leaf alone."""

    path: str
    axes: tuple[int | None, ...]  # for every axis, the axis of the leaf; None for copies
    shape: tuple[int, ...]  # of the leaf, inside loops of one layer
    root: bool = False  # whether it is a root, or one over a root, of the leaf plus a constant


class _Value(NamedTuple):
    """A value of the evaluation."""

    value: Any
    data: bool = False  # whether it depends on the arguments after the weights
    tag: _Tag | None = None


# Operations that move axes and change no number.
_LAYOUT = {
    "convert_element_type", "copy", "copy_p", "stop_gradient", "broadcast_in_dim", "transpose", "squeeze", "reshape"
}  # fmt: skip


def _moved(eqn: Any, tag: _Tag, old: Sequence[int]) -> _Tag | None:
    """The tag after a change of layout; None if axes merge or split."""
    if eqn.primitive.name not in _LAYOUT:
        return None
    origins = moved_axes(eqn, tuple(() if axis is None else (axis,) for axis in tag.axes), old)
    axes: list[int | None] = []
    for origin, n in zip(origins, eqn.outvars[0].aval.shape, strict=True):
        if any(tag.shape[axis] not in (1, n) for axis in origin):
            return None  # merged or split
        axes.append(max((axis for axis in origin if tag.shape[axis] == n), default=None))
    return tag._replace(axes=tuple(axes))


def _result_tag(eqn: Any, inputs: Sequence[_Value]) -> _Tag | None:
    name, tagged = eqn.primitive.name, [x for x in inputs if x.tag is not None]
    if any(x.data for x in inputs) or not tagged:
        return None
    first = tagged[0]
    if name in ("add", "add_any", "max") and len(tagged) == 1:
        return first.tag  # a small constant below a root
    if name in ("sqrt", "rsqrt"):
        return first.tag._replace(root=True) if first.tag else None
    if name == "mul":  # the scale of a norm is multiplied with the root first
        return next((x.tag for x in tagged if x.tag and x.tag.root), None)
    return _moved(eqn, first.tag, first.value.shape) if len(inputs) == 1 and first.tag else None


def _site(eqn: Any, inputs: Sequence[_Value]) -> tuple[str, _Tag, Any] | None:
    """Role and tag of a leaf that meets data, and the data."""
    name = eqn.primitive.name
    if name not in ("add", "add_any", "sub", "mul", "div") or len(inputs) != 2:
        return None
    a, b = inputs
    first = b if name in ("sub", "div") else next((x for x in inputs if x.tag is not None), a)
    other = a if first is b else b
    if first.tag is None or not other.data:
        return None
    role = {"add": BIAS, "add_any": BIAS, "sub": MEAN}.get(name, VARIANCE)
    if first.tag.root != (role == VARIANCE):
        return None
    named = [axis for axis in first.tag.axes if axis is not None and first.tag.shape[axis] != 1]
    wide = [axis for axis, n in enumerate(first.tag.shape) if n != 1]
    return (role, first.tag, other.value) if sorted(named) == wide else None


def _of_rows(tag: _Tag, x: jax.Array) -> Moments:
    """Moments over the axes that the leaf does not have, in its shape."""
    x = wide(x)
    ours = sorted((axis, place) for place, axis in enumerate(tag.axes) if axis is not None)
    lead = [a for a in range(x.ndim) if a not in {place for _, place in ours}]
    rows = jnp.transpose(x, (*lead, *(place for _, place in ours)))
    over = tuple(range(len(lead)))
    mean = jnp.mean(rows, over, keepdims=True)
    squares = jnp.sum((rows - mean) ** 2, over)
    count = jnp.asarray(math.prod(rows.shape[: len(lead)]), x.dtype)
    return Moments(count, mean.reshape(tag.shape), squares.reshape(tag.shape), jnp.ones((), x.dtype))


def _record(found: dict[Site, Moments], site: Site, new: Moments) -> None:
    found[site] = found[site]._replace(uses=found[site].uses + new.uses) if site in found else new


def _scan(eqn: Any, inputs: Sequence[_Value], found: dict[Site, Moments]) -> list[_Value]:
    """Runs a loop whose iterations return their moments: a row of a stacked leaf for each."""
    p = eqn.params
    fixed, carried = scan_counts(p, len(inputs))
    stacks = inputs[fixed + carried :]
    layered = {x.tag.path for x in stacks if x.tag is not None and x.tag.axes[0] == 0}

    def row(x: _Value, value: Any) -> _Value:
        tag = x.tag
        if tag is not None and tag.axes[0] == 0:
            inner = tuple(None if a is None else a - 1 for a in tag.axes[1:])
            return _Value(value, x.data, tag._replace(axes=inner, shape=tag.shape[1:]))
        return _Value(value, x.data)

    carry_data = any(x.data for x in inputs)

    def body(carry: Any, rows: Any) -> Any:
        inner: dict[Site, Moments] = {}
        args = [*inputs[:fixed], *(_Value(c, carry_data) for c in carry), *map(row, stacks, rows)]
        out = _run(p["jaxpr"].jaxpr, p["jaxpr"].consts, args, inner)
        return [x.value for x in out[:carried]], ([x.value for x in out[carried:]], inner)

    start = [x.value for x in inputs[fixed : fixed + carried]]
    carry, (ys, inner) = jax.lax.scan(body, start, [x.value for x in stacks], p["length"], p["reverse"], p["unroll"])
    for site, each in inner.items():
        first = jax.tree.map(lambda v: v[0], each)
        if site[0] in layered:
            layers = Moments(first.count, each.mean, each.squares, first.uses)
        else:
            layers = first._replace(uses=first.uses * p["length"])
        _record(found, site, layers)
    return [_Value(x, carry_data) for x in (*carry, *ys)]


def _run(jaxpr: Any, consts: Sequence[Any], args: Sequence[_Value], found: dict[Site, Moments]) -> list[_Value]:
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[_Value]) -> list[_Value]:
            context.enter(eqn)
            name = eqn.primitive.name
            if name in PLAIN_CALLS:
                body, inner = body_of(eqn)
                return _run(body, inner, inputs, found)
            if name == "scan":
                return _scan(eqn, inputs, found)
            place = _site(eqn, inputs)
            if place is not None:
                role, leaf, x = place
                _record(found, (leaf.path, role), _of_rows(leaf, jnp.broadcast_to(x, eqn.outvars[0].aval.shape)))
            tag, data = _result_tag(eqn, inputs), any(x.data for x in inputs)
            return [_Value(out, data, tag) for out in bind(eqn, [x.value for x in inputs])]

        return walk(jaxpr, needed(jaxpr), [_Value(c) for c in consts], args, step, _Value)


def moments_of(fn: Callable[..., Any]) -> Callable[..., dict[Site, Moments]]:
    """Transforms a function into one that returns the moments of the inputs of every bias and running statistic.

    A bias is a leaf of the first argument that is added to data along all of its axes; a running mean is subtracted,
    and data are divided by the root of a running variance. Leaves inside `while` and `cond` are not found.
    """

    def moments(params: Any, *args: Any) -> dict[Site, Moments]:
        flat, structure = flatten_with_path(((params, *args), {}))
        program = trace(fn, [leaf for _, leaf in flat], structure)
        dynamic = [(path, leaf) for path, leaf in flat if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
        inputs = []
        for path, leaf in dynamic:
            floating = jnp.issubdtype(leaf.dtype, jnp.floating)
            weight = path[1].idx == 0
            tag = _Tag(path_string(path[2:]), tuple(range(len(leaf.shape))), tuple(leaf.shape))
            inputs.append(_Value(leaf, not weight, tag if weight and floating else None))
        found: dict[Site, Moments] = {}
        _run(program.closed.jaxpr, program.closed.consts, inputs, found)
        return found

    return moments
