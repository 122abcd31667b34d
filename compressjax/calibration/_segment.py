"""Segments: a part of a line as one compiled program, from the values at one cut to those at the next."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core as jex

from compressjax.calibration._watch import Taken, Watch
from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._evaluate import RULES, evaluate
from compressjax.interpret.jaxpr._line import Equation, Known, Line
from compressjax.interpret.jaxpr._records import Records, joined
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize


class Segment(NamedTuple):
    """Equations of a line, and what goes in and out.

    Attributes:
        equations: Places in the line, in order.
        leaves: Paths that it reads.
        inputs: Values that it reads, from before.
        outputs: Values that it makes and returns.
        consts: Constants that it reads.
    """

    equations: tuple[int, ...]
    leaves: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    consts: tuple[int, ...]


def needed(line: Line, targets: Iterable[int], start: int = 0) -> set[int]:
    """The equations from `start` on that the targets need, with all that depends on leaves only."""
    todo, found = list(targets), set[int]()
    while todo:
        at = line.maker.get(todo.pop())
        if at is not None and at not in found and (at >= start or not _on_data(line, at)):
            found.add(at)
            todo += line.equations[at].numbers
    return found


def segment(line: Line, equations: Iterable[int], outputs: Iterable[int] = ()) -> Segment:
    """The segment of some equations."""
    chosen = sorted(equations)
    made = {n for at in chosen for n in line.equations[at].writes}
    read = {n for at in chosen for n in line.equations[at].numbers} - made
    return Segment(
        tuple(chosen),
        tuple(path for path, number in line.leaves.items() if number in read),
        tuple(sorted(read & line.data)),
        tuple(sorted(set(outputs) & made)),
        tuple(n for n in line.consts if n in read),
    )


def _on_data(line: Line, at: int) -> bool:
    return any(n in line.data for n in line.equations[at].numbers)


def interpret(
    line: Line, equations: Iterable[int], leaves: Mapping[str, Any], known: Mapping[int, Any], watch: Watch,
    seen: Callable[[int, Watch], None] | None = None,
) -> dict[int, Any]:  # fmt: skip
    """Runs equations of a line with its leaves as weights; `seen` gets the records of every equation."""
    env: dict[int, Any] = dict(known)
    for path, x in leaves.items():
        env[line.leaves[path]] = Weight(x, path, tuple((a,) for a in range(len(x.shape))))
    with Context() as context:
        for at in equations:
            eq = line.equations[at]
            context.enter(eq.eqn)
            child = watch.spawn()
            env.update(zip(eq.writes, _step(eq, [_value(env, x) for x in eq.reads], child), strict=True))
            (seen or (lambda _, one: watch.absorb(one.collected())))(at, child)
    return env


def _value(env: Mapping[int, Any], read: Any) -> Any:
    return read.value if isinstance(read, Known) else env[read]


def _step(eq: Equation, inputs: list[Any], watch: Watch) -> Sequence[Any]:
    if not any(isinstance(x, Weight) for x in inputs):
        return bind(eq.eqn, inputs)
    rule = RULES.get(eq.eqn.primitive.name)
    return watch.apply(eq.eqn, inputs) if rule is None else rule(eq.eqn, inputs, watch, evaluate)


class Programs:
    """Compiled segments; segments that compute the same, such as those of equal layers, share one program."""

    def __init__(self) -> None:
        self._made: dict[Any, Callable[..., Any]] = {}

    def run(
        self, line: Line, part: Segment, leaves: Mapping[str, Any], known: Mapping[int, Any]
    ) -> Callable[[Mapping[int, Any]], dict[int, Any]]:
        """Function from the values at one cut to the outputs; `known` are values of the right shapes."""

        def traced(weights: list[Any], consts: list[Any], data: list[Any]) -> list[Any]:
            watch = Watch(frozenset(), False)
            env = interpret(line, part.equations, *_bound(part, weights, consts, data), watch)
            return [materialize(env[n]) if isinstance(env[n], Weight) else env[n] for n in part.outputs]

        weights, consts = [leaves[path] for path in part.leaves], [line.consts[n] for n in part.consts]
        call = self._compiled(traced, (weights, consts, [known[n] for n in part.inputs]), donated=None)
        return lambda now: dict(zip(part.outputs, call(weights, consts, [now[n] for n in part.inputs]), strict=True))

    def watch(
        self, line: Line, part: Segment, leaves: Mapping[str, Any], known: Mapping[int, Any], path: str, total: Records
    ) -> Callable[[Mapping[int, Any], Records], Records]:
        """Function from the values at a cut and the records of one leaf so far to its records; takes the old ones."""
        taken = Taken.of(total)
        keys = sorted(total)

        def traced(weights: list[Any], consts: list[Any], data: list[Any], sums: list[Any]) -> list[Any]:
            watch = Watch(frozenset({path}), *taken)
            interpret(line, part.equations, *_bound(part, weights, consts, data), watch)
            merged = joined(dict(zip(keys, sums, strict=True)), watch.collected())
            return [merged[key] for key in keys]

        weights, consts = [leaves[path] for path in part.leaves], [line.consts[n] for n in part.consts]
        data = [known[n] for n in part.inputs]
        call = self._compiled(traced, (weights, consts, data, [total[key] for key in keys]), donated=3)

        def add(now: Mapping[int, Any], sums: Records) -> Records:
            found = call(weights, consts, [now[n] for n in part.inputs], [sums[key] for key in keys])
            return dict(zip(keys, found, strict=True))

        return add

    def _compiled(self, fn: Callable[..., Any], args: tuple[Any, ...], donated: int | None) -> Callable[..., Any]:
        """The function compiled for these arguments, of which one may be given up at every call."""
        closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        sizes = [len(jax.tree.leaves(x)) for x in args]
        given = () if donated is None else tuple(range(sum(sizes[:donated]), sum(sizes[: donated + 1])))
        consts = tuple((str(np.asarray(x).dtype), np.shape(x), np.asarray(x).tobytes()) for x in closed.consts)
        key = (str(closed.jaxpr), consts, given)
        if key not in self._made:
            self._made[key] = jax.jit(jex.jaxpr_as_fun(closed), donate_argnums=given)
        program, structure = self._made[key], jax.tree.structure(shape)
        return lambda *now: jax.tree.unflatten(structure, program(*jax.tree.leaves(now)))


def _bound(
    part: Segment, weights: Sequence[Any], consts: Sequence[Any], data: Sequence[Any]
) -> tuple[dict[str, Any], dict[int, Any]]:
    """Leaves by path and values by number, from the arguments of a program."""
    known = dict(zip(part.consts, consts, strict=True)) | dict(zip(part.inputs, data, strict=True))
    return dict(zip(part.leaves, weights, strict=True)), known
