"""`narrow`: a function for weights with units removed, emitted from the jaxpr with the smaller sizes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.coupling._atoms import Vector
from compressjax.interpret.coupling._couplings import LabeledFunction, groups_of, label_function
from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place
from compressjax.interpret.coupling._lost import lost_units
from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._shapes import shapes
from compressjax.interpret.jaxpr._symbolic import symbolic
from compressjax.interpret.jaxpr._walk import needed, walk
from compressjax.interpret.narrowing._narrow_flow import NARROW_FLOW
from compressjax.interpret.narrowing._narrow_rules import NARROW_RULES, take


class Cutter:
    """Evaluates a labeled jaxpr on arrays without the removed positions."""

    def __init__(self, labeled: LabeledTrace, gone: set[int]) -> None:
        self.labeled = labeled
        self.gone = gone
        self._known: dict[int, bool] = {}

    def kept(self, vector: Vector) -> np.ndarray | None:
        """Kept positions of an axis; None if all are kept."""
        stay = []
        for atom in vector.tolist():
            if atom not in self._known:
                self._known[atom] = self.gone.isdisjoint(self.labeled.atoms.resolve(atom))
            stay.append(self._known[atom])
        return None if all(stay) else np.flatnonzero(stay)

    def shape(self, labels: Labels) -> tuple[int, ...]:
        """Shape without the removed positions."""
        kept = [self.kept(v) for v in labels.axes]
        return tuple(n if k is None else len(k) for n, k in zip(labels.shape, kept, strict=True))

    def sizes(self, labels: Labels, full: Sequence[Any]) -> tuple[Any, ...]:
        """The sizes of a full shape, symbolic ones included, without the removed positions."""
        kept = [self.kept(v) for v in labels.axes]
        if any(k is not None and symbolic(n) for n, k in zip(full, kept, strict=True)):
            raise ValueError(
                f"narrow: removed units are part of an axis of unknown size in a shape {tuple(full)}; keep the axis of "
                "the batch apart from theirs, or give a fixed batch size"
            )
        return tuple(n if k is None else len(k) for n, k in zip(full, kept, strict=True))

    def cut(self, x: Any, labels: Labels) -> Any:
        """Removes positions from an array."""
        for axis, vector in enumerate(labels.axes):
            x = take(x, axis, self.kept(vector))
        return x

    def run(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], place: Place) -> list[Any]:
        """Evaluates a jaxpr on arguments without the removed positions."""
        small = [self.cut(x, labels) for x, labels in zip(consts, self.labeled.constants[place], strict=True)]
        with Context() as context:

            def step(number: int, eqn: Any, inputs: list[Any]) -> list[Any]:
                context.enter(eqn)
                return self._equation(eqn, inputs, (*place, number))

            return walk(jaxpr, needed(jaxpr), small, args, step)

    def _equation(self, eqn: Any, inputs: Sequence[Any], here: Place) -> list[Any]:
        name, (ins, outs) = eqn.primitive.name, self.labeled.records[here]
        if all(self.shape(labels) == labels.shape for labels in (*ins, *outs)):
            return bind(eqn, inputs)
        for var, labels in zip(eqn.outvars, outs, strict=True):
            self.sizes(labels, getattr(var.aval, "shape", ()))
        if name in NARROW_FLOW:
            return NARROW_FLOW[name](self, eqn, inputs, here)
        if name in NARROW_RULES:
            return NARROW_RULES[name](self, eqn, inputs, ins, outs)
        return bind(eqn, inputs)


def gone_atoms(found: LabeledFunction, kept: Mapping[str, Sequence[int]]) -> set[int]:
    """Atoms of the units that are not in `kept`; absent groups keep all units."""
    groups = groups_of(found)
    lost = lost_units([group for group, _ in groups.values()], kept, loops=True)
    return {groups[name][1][unit] for name, units in lost.items() for unit in units}


def narrow(fn: Callable[..., Any], like: Any, kept: Mapping[str, Sequence[int]]) -> Callable[..., Any]:
    """Transforms a function so that it takes weights without the pruned units.

    It traces `fn` at its full width and emits the jaxpr again with the smaller sizes. It therefore also works if widths
    are constants of the code, and divisors and scales of the code do not change,

    .. math:: narrow(f)(cut(w), x) = f(mask(w), x) \\quad \\text{up to rounding}

    The layers of a `scan` are a group too. It is frozen, since a masked layer differs from a removed one, but `kept`
    may remove iterations of such a loop. Calls are inlined. Custom derivative rules are dropped: the derivative is that
    of the primal function.

    Args:
        fn: Any JAX function whose first argument is the tree of weights.
        like: The full tree of weights, or `jax.ShapeDtypeStruct`s of it.
        kept: Indices of the units to keep, by the name of their group in `couplings(fn)`.

    Returns:
        Function of the smaller tree and `fn`'s other arguments, for any batch size that `fn` takes.

    Raises:
        ValueError: When called, if a group does not exist, is frozen, or would keep no unit, or if the shapes of the
            smaller tree do not match `kept`.

    Example:
        >>> p = {"a": np.ones((2, 4), np.float32), "b": np.ones((4, 1), np.float32)}
        >>> small = {"a": p["a"][:, [0, 2]], "b": p["b"][[0, 2]]}
        >>> narrow(lambda p, x: x @ p["a"] @ p["b"], p, {"a:1": [0, 2]})(small, np.ones((1, 2), np.float32)).item()
        4.0
    """
    wide = shapes(like)

    def narrowed(params: Any, *args: Any, **kwargs: Any) -> Any:
        found = label_function(fn, (wide, *args), kwargs)
        cutter = Cutter(found.labeled, gone_atoms(found, kept))
        small = {path_string(path): leaf for path, leaf in flatten_with_path(params)[0]}
        for path, labels in found.weights.items():
            expected, got = cutter.shape(labels), getattr(small.get(path), "shape", None)
            if expected != got:
                raise ValueError(f"{path!r} has shape {got}, but with these cuts {expected}; pass what cut() returned")
        inputs = list(found.program.inputs)
        inputs[: len(found.weights)] = [small[path] for path in found.weights]
        closed = found.program.closed
        return found.program.finish(cutter.run(closed.jaxpr, closed.consts, inputs, ()))

    return narrowed
