"""Labels of an array for `couplings`, and the trace that collects them equation by equation."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from compressjax.interpret.coupling._atoms import Atoms, Vector
from compressjax.interpret.jaxpr._symbolic import stand_in, with_stand_ins
from compressjax.interpret.jaxpr._walk import needed, walk

Place = tuple[int, ...]  # index of an equation in its jaxpr, after the indices of the enclosing equations
_LARGEST_CONSTANT = 1 << 16  # larger constants are not checked for being uniform


class Labels(NamedTuple):
    """Labels of one array.

    Attributes:
        axes: For every axis, the atom of each position.
        zero: For every axis, whether entries at removed positions are exactly zero when the weights are masked there.
            Only then is a sum over the axis the same after the removal.
        value: Value of all entries, if it is known and the same for all.
    """

    axes: tuple[Vector, ...]
    zero: tuple[bool, ...]
    value: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes before any removal."""
        return tuple(len(axis) for axis in self.axes)

    def vanishes(self, axis: int) -> bool:
        """Whether removed positions along an axis are zero in the masked function."""
        return self.value == 0 or self.zero[axis]


Rule = Callable[["LabeledTrace", Any, Sequence[Labels], Place], list[Labels]]


class LabeledTrace:
    """Labels of a traced function: of the operands and results of every equation, and of every captured constant."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        self.rules = rules
        self.atoms = Atoms()
        self.records: dict[Place, tuple[list[Labels], list[Labels]]] = {}
        self.constants: dict[Place, list[Labels]] = {}
        self.loops: list[Vector] = []
        self._summed: list[Vector] = []

    def new(self, shape: Sequence[int], *, zero: bool = False, value: float | None = None) -> Labels:
        """Labels of an array whose positions can all be removed, except along axes of length 1."""
        axes = tuple(self.atoms.fresh(n) if n != 1 else self.unit() for n in shape)
        return Labels(axes, (zero,) * len(axes), value)

    def unit(self) -> Vector:
        """An axis of length 1."""
        return self.atoms.void("an axis of length 1 keeps its one position", 1)

    def blank(self, shape: Sequence[int], reason: str) -> Labels:
        """Labels of an array whose positions are all kept."""
        axes = tuple(self.atoms.void(reason, n) for n in shape)
        return Labels(axes, (False,) * len(axes))

    def freeze(self, labels: Sequence[Labels], reason: str) -> None:
        """Freezes all axes of some arrays."""
        for each in labels:
            for axis in each.axes:
                self.atoms.freeze(axis, reason)

    def sum(self, vector: Vector) -> None:
        """Records that an axis is summed over, which is one way for its positions to reach a result."""
        self._summed.append(vector)

    def freeze_unread(self, weights: Sequence[Labels], reason: str) -> None:
        """Freezes positions that reach no result; call it last, since earlier reasons are more specific.

        A position passes from array to array until it is summed over, or frozen by a result or a rule. A position
        that a slice drops reaches neither.
        """
        summed = {root for vector in self._summed for a in np.unique(vector) for root in self.atoms.resolve(a)}
        roots = {r for x in weights for axis in x.axes for a in np.unique(axis) for r in self.atoms.resolve(a)}
        self.atoms.freeze(np.array(sorted(roots - summed), int), reason)

    def align(self, a: Labels, b: Labels) -> None:
        """Couples two arrays of the same shape."""
        for x, y in zip(a.axes, b.axes, strict=True):
            self.atoms.unify(x, y)

    def walk(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Labels], place: Place) -> list[Labels]:
        """Labels the results of a jaxpr."""
        self.constants[place] = [constant(self, x) for x in consts]

        def step(number: int, eqn: Any, inputs: list[Labels]) -> list[Labels]:
            here, rule = (*place, number), self.rules.get(eqn.primitive.name, unknown)
            outputs = rule(self, with_stand_ins(eqn), inputs, here)
            self.records[here] = (inputs, outputs)
            return outputs

        literal = functools.partial(constant, self)
        return walk(jaxpr, needed(jaxpr), self.constants[place], args, step, literal)


def constant(labeled: LabeledTrace, value: Any) -> Labels:
    """Labels of a constant of the trace, whose positions can be removed."""
    shape, same = tuple(map(stand_in, np.shape(value))), None
    numeric = (hasattr(value, "dtype") and value.dtype.kind in "fiub") or isinstance(value, int | float)
    if numeric and 0 < np.size(value) <= _LARGEST_CONSTANT:
        flat = np.asarray(value).reshape(-1)
        same = float(flat[0]) if (flat == flat[0]).all() else None
    return labeled.new(shape, value=same)


def unknown(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Rule for operations without a rule: freezes all operands and results."""
    del place
    reason = f"passes through {eqn.primitive.name!r}, for which couplings has no rule"
    labeled.freeze(inputs, reason)
    return [labeled.blank(getattr(var.aval, "shape", ()), reason) for var in eqn.outvars]
