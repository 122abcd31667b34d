"""Cuts any function into stages of one cost, between which little travels."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.core._settings import as_int, as_number
from compressjax.interpret.jaxpr._line import Line, line_of
from compressjax.interpret.jaxpr._trace import abstractly, is_array
from compressjax.interpret.jaxpr._unroll import OPEN_CALLS, unrolled
from compressjax.interpret.narrowing._flops import equation_flops
from compressjax.measure import table
from compressjax.structure._cuts import balanced_cuts


class Stage(NamedTuple):
    """One stage.

    Attributes:
        equations: Places in the line, in order.
        holds: Numbers of the values that it keeps: leaves, or what is made from leaves alone.
        receives: Numbers of the values that come from the stage before.
        flops: Operations for one microbatch.
        weight_bytes: Bytes of what it keeps.
        sent_bytes: Bytes that it sends on for one microbatch.
    """

    equations: tuple[int, ...]
    holds: tuple[int, ...]
    receives: tuple[int, ...]
    flops: int
    weight_bytes: int
    sent_bytes: int


class Stages(NamedTuple):
    """A function in stages; `str` gives the table of costs.

    Attributes:
        stages: In order.
        line: The function, written out.
        types: Shapes and types of its values, by number.
        example: `(params, *args)` as shapes.
        even: The stages of a cut into equally many equations, to compare with.
        result: Structure of what the function returns.
    """

    stages: tuple[Stage, ...]
    line: Line
    types: dict[int, Any]
    example: tuple[Any, ...]
    even: tuple[Stage, ...]
    result: Any

    def __str__(self) -> str:
        whole = sum(stage.flops for stage in self.stages)
        rows = [{"cut": "whole", "stage": "", "flops": whole, "share": "100%", "sent bytes": 0,
                 "weight bytes": _bytes(self.types, {*self.line.leaves.values(), *self.line.consts})}]  # fmt: skip
        for name, stages in (("even", self.even), ("balanced", self.stages)):
            rows += [
                {"cut": name, "stage": str(i), "flops": s.flops, "share": f"{100 * s.flops / max(whole, 1):.0f}%",
                 "sent bytes": s.sent_bytes, "weight bytes": s.weight_bytes}
                for i, s in enumerate(stages)
            ]  # fmt: skip
        return table(rows, ("cut", "stage", "flops", "share", "weight bytes", "sent bytes"))


def cut_stages(fn: Callable[..., Any], params: Any, *args: Any, count: int, slack: float = 0.05) -> Stages:
    """Cuts a function into stages whose largest cost is least, and between which least travels.

    .. math:: \\min_{\\text{cuts}} \\; \\big( \\max_s T_s, \\; \\textstyle\\sum_s T_s \\big) \\quad
        \\text{such that} \\quad \\max_s C_s \\le (1 + \\epsilon) \\min_{\\text{cuts}} \\max_s C_s

    Costs `C` are operations and traffic `T` the bytes of all values that are read behind a cut; dynamic programs find
    the minimum over all cuts of the equations. What depends on weights alone does not travel: every stage keeps
    the weights that it reads, or what is made from them where that is smaller, such as one layer of a stack. A `scan`
    over stacked layers is written out; every other loop is one equation. This cuts depth, as `split` cuts width.

    Args:
        fn: Any JAX function whose first argument is the tree of weights; `lift(fn)` for nodes.
        params: Weights; may be abstract.
        *args: Other arguments, of the size of one microbatch; may be abstract.
        count: Number of stages, at least 1.
        slack: By how much the largest cost may exceed the least one, for less traffic; at least 0.

    Returns:
        The stages, for `pipeline`.

    Raises:
        ValueError: If there are fewer equations than stages, or an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> params = [jnp.ones((4, 4)), jnp.ones((4, 4))]
        >>> found = cut_stages(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], params, jnp.ones((2, 4)), count=2)
        >>> [(stage.flops, stage.weight_bytes, stage.sent_bytes) for stage in found.stages]
        [(64, 64, 32), (64, 64, 0)]

    Source: balance by dynamic programs after Harlap et al., arXiv:1806.03377 (harlap2018).
    """
    count, slack = as_int("cut_stages", "count", count), as_number("cut_stages", "slack", slack)
    if count < 1 or not slack >= 0:
        raise ValueError(f"cut_stages: count={count} must be at least 1, and slack={slack} at least 0")
    line, types = _traced(fn, params, args)
    on_data = [at for at, eq in enumerate(line.equations) if any(n in line.data for n in eq.numbers)]
    if len(on_data) < count:
        raise ValueError(f"cut_stages: the function has {len(on_data)} equations on data, too few for count={count}")
    costs = [equation_flops(line.equations[at].eqn) for at in on_data]
    born, last = _lives(line, on_data)
    crossing = [_bytes(types, _across(born, last, i)) for i in range(len(on_data))]
    even = [round(len(on_data) * (i + 1) / count) for i in range(count - 1)]

    def made(ends: Sequence[int]) -> tuple[Stage, ...]:
        found = []
        for begin, end in zip([0, *ends], [*ends, len(on_data)], strict=True):
            equations, holds = _kept(line, types, on_data[begin:end], end == len(on_data))
            received = tuple(sorted(_across(born, last, begin - 1))) if begin else ()
            sent = crossing[end - 1] if end < len(on_data) else 0
            found.append(Stage(equations, holds, received, sum(costs[begin:end]), _bytes(types, holds), sent))
        return tuple(found)

    ends = balanced_cuts(costs, crossing, count, slack)
    example = jax.tree.map(_shape, (params, *args))
    result = jax.tree.structure(abstractly(fn, params, *args))
    return Stages(made(ends), line, types, example, made(even), result)


def flat_leaves(params: Any) -> dict[str, Any]:
    """All arrays of a tree by path, those inside of nodes too."""
    return {path_string(path): x for path, x in flatten_with_path(params)[0]}


def _shape(x: Any) -> Any:
    return jax.ShapeDtypeStruct(x.shape, x.dtype) if is_array(x) else x


def _traced(fn: Callable[..., Any], params: Any, args: Sequence[Any]) -> tuple[Line, dict[int, Any]]:
    """The function as a line over the arrays of its weights, and the types of all values."""
    structure, leaves = jax.tree.structure(params), {path: _shape(x) for path, x in flat_leaves(params).items()}

    def flat(held: dict[str, Any], *rest: Any) -> Any:
        return fn(jax.tree.unflatten(structure, [held[path] for path in leaves]), *rest)

    line = line_of(unrolled(flat), leaves, args, OPEN_CALLS)
    types: dict[int, Any] = {line.leaves[path]: x for path, x in leaves.items() if path in line.leaves}
    given = [x for x in jax.tree.leaves(args) if is_array(x)]
    types |= dict(zip(line.inputs, given, strict=True)) | line.consts
    types |= {n: eq.typed(n) for eq in line.equations for n in eq.writes}
    return line, types


def _bytes(types: dict[int, Any], numbers: Iterable[int]) -> int:
    return sum(math.prod(types[n].shape) * types[n].dtype.itemsize for n in numbers)


def _lives(line: Line, on_data: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """For every value on data, the item that makes it (-1 for an argument) and the last one that reads it."""
    born, last = dict.fromkeys(line.inputs, -1), dict.fromkeys(line.inputs, -1)
    for i, at in enumerate(on_data):
        for n in line.equations[at].numbers:
            if n in line.data:
                last[n] = i
        for n in line.equations[at].writes:
            born[n] = last[n] = i
    last.update({n: len(on_data) for n in line.results if isinstance(n, int) and n in line.data})
    return born, last


def _across(born: dict[int, int], last: dict[int, int], item: int) -> list[int]:
    """Values that are made up to an item and read behind it."""
    return [n for n, start in born.items() if start <= item < last[n]]


def _kept(
    line: Line, types: dict[int, Any], chosen: Sequence[int], ends: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The equations of a stage with those that are made anew there, and the values on weights alone that it keeps."""
    equations, holds = set(chosen), set[int]()
    todo = [n for at in chosen for n in line.equations[at].numbers if n not in line.data]
    todo += [n for n in line.results if ends and isinstance(n, int) and n not in line.data]
    seen = set[int]()
    while todo:
        n = todo.pop()
        if n in seen:
            continue
        seen.add(n)
        at = line.maker.get(n)
        sources = set() if at is None else set(line.equations[at].numbers)
        if at is None or (sources and _bytes(types, sources) >= _bytes(types, [n])):
            holds.add(n)
        else:
            equations.add(at)
            todo += sources
    return tuple(sorted(equations)), tuple(sorted(holds))
