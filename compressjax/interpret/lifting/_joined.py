"""Weights that a function concatenates or stacks: the parts stay compressed, and products run part by part."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import (
    Convolution,
    Dense,
    Node,
    Product,
    Ragged,
    Window,
    dense,
    entry_bits,
    meta,
    node,
    ops,
    value,
)
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.numerics._explicit import explicit
from compressjax.numerics._factored import factored


@node
class Joined(Node):
    """Arrays and nodes side by side along one axis, during one evaluation; trees and files do not hold it.

    .. math:: x [A, B] = [x A, x B], \\quad [x, y] [A; B] = x A + y B

    Attributes:
        parts: Arrays and nodes of one shape, up to the joined axis.
        axis: The joined axis, negative: counted from the end, so that stacked layers can be sliced.

    Example:
        >>> Joined((jnp.ones((2, 3)), jnp.ones((2, 1))), -1).shape
        (2, 4)
    """

    parts: tuple[Any, ...] = value()
    axis: int = meta()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        first = list(self.parts[0].shape)
        first[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(first)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the dense tensor."""
        return np.dtype(self.parts[0].dtype)

    def materialize(self) -> jax.Array:
        """Joins the dense tensors of the parts."""
        return jnp.concatenate([dense(part) for part in self.parts], self.axis)

    def size_bits(self, kept: int | None = None) -> int:
        """Bits of all parts."""
        return sum(entry_bits(part, kept) for part in self.parts)

    @property
    def _place(self) -> int:
        return self.ndim + self.axis

    def _ends(self) -> list[int]:
        """Where each part but the last one ends along the joined axis."""
        return list(itertools.accumulate(part.shape[self.axis] for part in self.parts))[:-1]

    def _each(self, change: Callable[[Any], Any], axis: int, ndim: int) -> Any:
        return ops.rebuild(lambda *parts: Joined(parts, axis - ndim), *(change(part) for part in self.parts))

    def transpose(self, permutation: tuple[int, ...]) -> Any:
        """Transposes every part."""
        axis = permutation.index(self._place)
        return self._each(lambda part: ops.transpose(part, permutation), axis, self.ndim)

    def reshape(self, sizes: tuple[int, ...]) -> Any:
        """Reshapes every part, if the joined axis is the slowest of those with which it merges or splits."""
        for olds, news in factored(self.shape, sizes):
            if self._place not in olds:
                continue
            axis = next((a for a in news if sizes[a] != 1), None)
            rest = 1 if axis is None else math.prod(sizes[a] for a in news) // sizes[axis]
            inner = math.prod(self.shape[a] for a in olds if a > self._place)
            lengths = [part.shape[self.axis] * inner for part in self.parts]
            slowest = all(self.shape[a] == 1 for a in olds if a < self._place)
            if axis is None or not slowest or any(n % rest for n in lengths):
                return Dense("the reshape mixes entries of several joined weights")
            shapes = [tuple(n // rest if a == axis else d for a, d in enumerate(sizes)) for n in lengths]
            parts = (ops.reshape(part, shape) for part, shape in zip(self.parts, shapes, strict=True))
            return ops.rebuild(lambda *made, at=axis: Joined(made, at - len(sizes)), *parts)
        return Dense("the joined axis has no entries")

    def cut(self, window: tuple[Window | None, ...]) -> Any:
        """Slices every part; a window of the joined axis takes what it holds of each part."""
        mine, others = window[self._place], [None if a == self._place else w for a, w in enumerate(window)]
        if mine is None:
            return self._each(lambda part: ops.cut(part, others), self._place, self.ndim)
        if not isinstance(mine.start, int):
            return Dense("the slice starts at a place among joined weights that is known only at run time")
        wanted = mine.start + mine.step * np.arange(mine.size)
        made = []
        for part, start in zip(self.parts, [0, *self._ends()], strict=True):
            length = part.shape[self.axis]
            own = wanted[(wanted >= start) & (wanted < start + length)] - start
            if len(own):
                others[self._place] = None if len(own) == length else Window(int(own[0]), len(own), mine.step)
                made.append(ops.cut(part, others))
        if not made:
            return Dense("the slice is empty")
        return made[0] if len(made) == 1 else ops.rebuild(lambda *parts: Joined(parts, self.axis), *made)

    def convert(self, dtype: Any) -> Any:
        """Converts every part."""
        return self._each(lambda part: ops.convert(part, dtype), self._place, self.ndim)

    def rows(self, indices: jax.Array) -> Any:
        """Joins the rows of the parts, or takes each row from the part that holds it."""
        starts = [0, *self._ends()] if self._place == 0 else [0] * len(self.parts)
        found = ops.rebuild(
            lambda *kept: list(kept),
            *(ops.rows(part, indices - start) for part, start in zip(self.parts, starts, strict=True)),
        )
        if isinstance(found, Dense):
            return found
        if self._place:
            return jnp.concatenate(found, self.axis)
        out = found[0]
        for rows, start in zip(found[1:], starts[1:], strict=True):
            out = jnp.where(jnp.reshape(indices >= start, (-1, *(1,) * (out.ndim - 1))), rows, out)
        return out

    def _multiply(self, xs: Sequence[jax.Array], how: ops.How) -> Any:
        """The product of every part, with the same operand or a piece of it for each; `Dense` if none is native."""
        outs = [ops.multiply(x, part, how) if isinstance(part, Node) else Dense("an array")
                for x, part in zip(xs, self.parts, strict=True)]  # fmt: skip
        if all(isinstance(out, Dense) for out in outs):
            return next(out for out, part in zip(outs, self.parts, strict=True) if isinstance(part, Node))
        rows = zip(xs, self.parts, outs, strict=True)
        return [how.dense(x, dense(part)) if isinstance(out, Dense) else out for x, part, out in rows]

    def _product(self, x: jax.Array, how: ops.How, axis: int | None, joined: int | None) -> Any:
        """Splits x along `axis` if it is given; then joins the results along `joined`, or adds them."""
        xs = [x] * len(self.parts) if axis is None else jnp.split(x, self._ends(), axis)
        outs = self._multiply(xs, how)
        if isinstance(outs, Dense):
            return outs
        return sum(outs[1:], outs[0]) if joined is None else jnp.concatenate(outs, joined)

    def dot(self, x: jax.Array, product: Product) -> Any:
        """The products of the parts, side by side, or added where the joined axis is summed."""
        p, at = product, self._place
        if at in p.sum:
            return self._product(x, p, p.x_sum[p.sum.index(at)], None)
        if at in p.batch:
            return self._product(x, p, p.x_batch[p.batch.index(at)], p.batch.index(at))
        free = p.free(self.ndim).index(at)
        return self._product(x, p, None, len(p.batch) + len(p.x_free(x.ndim)) + free)

    def conv(self, x: jax.Array, convolution: Convolution) -> Any:
        """The convolutions of the parts, over outputs side by side, or over inputs added."""
        numbers = convolution.dimension_numbers
        plain = convolution.feature_group_count == convolution.batch_group_count == 1
        if plain and self._place == numbers.rhs_spec[0]:
            return self._product(x, convolution, None, numbers.out_spec[1])
        if plain and self._place == numbers.rhs_spec[1]:
            return self._product(x, convolution, numbers.lhs_spec[1], None)
        return Dense("kernels can only be joined over channels of a convolution without groups")

    def ragged_dot(self, x: jax.Array, ragged: Ragged) -> Any:
        """The products of the parts; experts that are joined one by one become one node first."""
        if self._place:
            return self._product(x, ragged, *((1, None) if self._place == 1 else (None, 1)))
        merged = ops.concatenate(self.parts, 0)
        return ops.multiply(x, merged, ragged) if isinstance(merged, Node) else Dense("the experts are joined")

    def stacked(self) -> Any:
        """Layers that were joined one by one become one node; other parts are stacked one by one."""
        if self._place == 0:
            merged = ops.concatenate(self.parts, 0)
            return ops.stacked(merged) if isinstance(merged, Node) else None
        parts = tuple(ops.stacked(part) for part in self.parts)
        return None if any(part is None for part in parts) else Joined(parts, self.axis)


def join(eqn: Any, inputs: Sequence[Any]) -> list[Any] | Dense | None:
    """The joined weight of a concatenation or a stack; `Dense` with a reason, or None for any other operation."""
    name = eqn.primitive.name
    if name not in ("concatenate", "stack"):
        return None
    if explicit(eqn.outvars[0].aval) is not None:
        return Dense("the result's sharding is part of its type")
    weights = [x for x in inputs if isinstance(x, Weight)]
    parts = [x.node if isinstance(x, Weight) else x for x in inputs]
    axis = eqn.params["dimension"] if name == "concatenate" else eqn.params["axis"]
    if name == "stack":
        parts = [ops.reshape(part, (*part.shape[:axis], 1, *part.shape[axis:])) for part in parts]
    made = parts[0] if len(parts) == 1 else ops.rebuild(
        lambda *kept: Joined(kept, axis - len(eqn.outvars[0].aval.shape)), *parts
    )  # fmt: skip
    if isinstance(made, Dense):
        return made
    paths = dict.fromkeys(path for x in weights for path in x.paths)
    return [dataclasses.replace(weights[0], node=made, also=tuple(paths)[1:], axes=())]
