"""Lines: a traced call as one list of equations without calls, whose values have numbers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core as jex

from compressjax.core import is_node
from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.jaxpr._trace import is_array, trace
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of
from compressjax.interpret.jaxpr._weight import Weight


class Known(NamedTuple):
    """A literal operand."""

    value: Any


class Equation(NamedTuple):
    """One equation; operands are numbers of values, or literals."""

    eqn: Any
    reads: tuple[Any, ...]
    writes: tuple[int, ...]

    @property
    def numbers(self) -> list[int]:
        """The operands that are not literals."""
        return [x for x in self.reads if isinstance(x, int)]

    def typed(self, number: int) -> Any:
        """Shape and type of a result."""
        return self.eqn.outvars[self.writes.index(number)].aval


class Line(NamedTuple):
    """A traced call.

    Attributes:
        equations: In the order of the trace.
        leaves: `{value path: number}` of the arrays and nodes in the first argument.
        inputs: Numbers of all other arguments.
        consts: Arrays that the function holds.
        maker: The equation that writes a value; none for arguments and constants.
        data: Values that depend on other arguments than the first.
        origins: The leaves on which a value that does not depend on data depends.
        text: What the function computes, as text.
        results: Numbers of what the function returns, or literals.
    """

    equations: list[Equation]
    leaves: dict[str, int]
    inputs: list[int]
    consts: dict[int, Any]
    maker: dict[int, int]
    data: set[int]
    origins: dict[int, frozenset[str]]
    text: str
    results: list[Any]


def line_of(fn: Callable[..., Any], params: Any, args: Sequence[Any], calls: Sequence[str] = PLAIN_CALLS) -> Line:
    """Traces a call on dense arrays and writes its calls out, as far as `calls` names them."""
    flat, structure = flatten_with_path(((params, *args), {}), is_leaf=is_node)
    held = len(flatten_with_path(params, is_leaf=is_node)[0])
    paths = [path_string(path[2:]) for path, _ in flat]
    leaves = [Weight(x, path) if is_node(x) else x for path, (_, x) in zip(paths, flat, strict=True)]
    closed = trace(fn, leaves, structure).closed
    dynamic = [i for i, x in enumerate(leaves) if isinstance(x, Weight) or is_array(x)]
    line = _Writer(calls)
    numbers = [line.fresh() for _ in dynamic]
    results = line.inline(closed.jaxpr, closed.consts, numbers)
    own = {paths[i]: n for i, n in zip(dynamic, numbers, strict=True) if i < held}
    inputs = [n for i, n in zip(dynamic, numbers, strict=True) if i >= held]
    data, origins = _flow(line.equations, own, inputs)
    maker = {n: at for at, eq in enumerate(line.equations) for n in eq.writes}
    return Line(line.equations, own, inputs, line.consts, maker, data, origins, str(closed.jaxpr), results)


def inputs_of(args: Sequence[Any]) -> list[Any]:
    """The values of `Line.inputs`."""
    return [x for x in jax.tree.leaves(args) if is_array(x)]


class _Writer:
    def __init__(self, calls: Sequence[str]) -> None:
        self._calls = calls
        self.equations: list[Equation] = []
        self.consts: dict[int, Any] = {}
        self._count = 0

    def fresh(self) -> int:
        self._count += 1
        return self._count - 1

    def inline(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        env: dict[Any, Any] = dict(zip(jaxpr.invars, args, strict=True))
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            env[var] = self.fresh()
            self.consts[env[var]] = value
        for eqn in jaxpr.eqns:
            reads = [_read(env, atom) for atom in eqn.invars]
            if eqn.primitive.name in self._calls:
                env.update(zip(eqn.outvars, self.inline(*body_of(eqn), reads), strict=True))
                continue
            writes = [self.fresh() for _ in eqn.outvars]
            env.update(zip(eqn.outvars, writes, strict=True))
            self.equations.append(Equation(eqn, tuple(reads), tuple(writes)))
        return [_read(env, atom) for atom in jaxpr.outvars]


def _read(env: dict[Any, Any], atom: Any) -> Any:
    return Known(atom.val) if isinstance(atom, jex.Literal) else env[atom]


def _flow(
    equations: Sequence[Equation], leaves: dict[str, int], inputs: Sequence[int]
) -> tuple[set[int], dict[int, frozenset[str]]]:
    """The values that depend on data, and the leaves on which the others depend."""
    data, origins = set(inputs), {number: frozenset({path}) for path, number in leaves.items()}
    none: frozenset[str] = frozenset()
    for eq in equations:
        if any(n in data for n in eq.numbers):
            data.update(eq.writes)
        else:
            origins.update(dict.fromkeys(eq.writes, none.union(*(origins.get(n, none) for n in eq.numbers))))
    return data, origins
