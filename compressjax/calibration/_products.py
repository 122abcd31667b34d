"""Where a line multiplies its leaves with data, and which products read the same array."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from compressjax.calibration._segment import interpret
from compressjax.calibration._watch import Taken, Watch
from compressjax.interpret.jaxpr._line import Equation, Line
from compressjax.interpret.jaxpr._records import Records, named

# Operations after which an array holds the same numbers.
_SAME = ("reshape", "transpose", "convert_element_type", "squeeze", "broadcast_in_dim", "copy")


class Products(NamedTuple):
    """What a line does with its leaves.

    Attributes:
        places: `{path: equations that multiply it with data}`, in the order of the line.
        first: `{path: first equation that reads it with data}`.
        sources: `{path: array that its first product reads}`; equal for products that read the same array.
        rows: `{path: what decides its statistics}`; equal where they are the same.
        stats: `{path: abstract statistics}`.
        records: `{path: abstract records}`, as a segment returns them.
    """

    places: dict[str, list[int]]
    first: dict[str, int]
    sources: dict[str, Any]
    rows: dict[str, Any]
    stats: dict[str, Any]
    records: dict[str, Records]


def products(line: Line, leaves: Mapping[str, Any], args: Sequence[Any], taken: Mapping[str, Taken]) -> Products:
    """Finds all products of a line on abstract values.

    Args are the leaves, the values of `line.inputs`, and for every path what is taken of its inputs.
    """
    places: dict[str, list[int]] = {}
    rows: dict[str, Any] = {}

    def recorded(paths: frozenset[str], kind: Taken) -> Records:
        watch = Watch(paths, *kind)

        def seen(at: int, child: Watch) -> None:
            watch.absorb(child.collected())
            for key in child.collected():
                places.setdefault(key.path, []).append(at)
                rows[key.path] = key.path if len(places[key.path]) > 1 else _rows(line, at, key)

        def traced(values: Any, consts: Any, data: Any) -> Records:
            known = dict(zip(line.inputs, data, strict=True)) | dict(zip(line.consts, consts, strict=True))
            interpret(line, range(len(line.equations)), values, known, watch, seen)
            return watch.collected()

        return jax.eval_shape(traced, dict(leaves), list(line.consts.values()), list(args))

    kinds: dict[Taken, set[str]] = {}
    for path in leaves:
        kinds.setdefault(taken.get(path, Taken()), set()).add(path)
    records: Records = {}
    for kind, paths in kinds.items():
        records |= recorded(frozenset(paths), kind)
    shapes = {path: tuple(x.shape) for path, x in leaves.items()}
    apart = {path: {key: s for key, s in records.items() if key.path == path} for path in places}
    return Products(
        places,
        _first(line),
        {path: _source(line, found[0], path) for path, found in places.items()},
        {path: (rows[path], taken.get(path, Taken())) for path in places},
        named(records, shapes),
        apart,
    )


def _first(line: Line) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, eq in enumerate(line.equations):
        if any(n in line.data for n in eq.numbers):
            for number in eq.numbers:
                for path in line.origins.get(number, ()):
                    found.setdefault(path, at)
    return found


def _operands(line: Line, eq: Equation) -> list[int]:
    return [n for n in eq.numbers if n in line.data]


def _rows(line: Line, at: int, key: Any) -> Any:
    """Statistics are the same for products of one array over the same axes."""
    eq = line.equations[at]
    if eq.eqn.primitive.name != "dot_general":
        return key.path
    return _operands(line, eq)[0], eq.eqn.params["dimension_numbers"], key.axes, key.batch, key.shape


def _source(line: Line, at: int, path: str) -> Any:
    """The array that a product reads, before changes of layout and type."""
    eq = line.equations[at]
    if eq.eqn.primitive.name not in ("dot_general", "conv_general_dilated", "ragged_dot_general"):
        return path  # a loop or a branch, in which products may read other arrays
    number = _operands(line, eq)[0]
    while number in line.maker:
        before = line.equations[line.maker[number]]
        if before.eqn.primitive.name not in _SAME or len(before.numbers) != 1:
            break
        number = before.numbers[0]
    return number
