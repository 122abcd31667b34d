"""What devices exchange, read from the collectives of a compiled program."""

import math
import re
from typing import Any, NamedTuple

_COLLECTIVE = re.compile(
    r"= (\S+|\((?:[^()]|\([^()]*\))*\)) "
    r"(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter|ragged-all-to-all)(-start)?\(([^\n]*)"
)
_SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
# A start of these has its arguments in its result, before the results.
_PAIRED = ("all-gather", "collective-permute")


class Collective(NamedTuple):
    """One exchange between devices in a compiled program.

    Attributes:
        kind: `"all-gather"`, `"all-reduce"`, `"all-to-all"`, `"collective-permute"`, `"reduce-scatter"` or
            `"ragged-all-to-all"`.
        result_bytes: Bytes of its results on one device.
    """

    kind: str
    result_bytes: int


def collectives(compiled: Any) -> tuple[Collective, ...]:
    """Returns every collective of a compiled program, the largest first.

    Args:
        compiled: As for `collective_bytes`.

    Returns:
        Kinds and sizes; empty if nothing is exchanged.

    Raises:
        ValueError: If the program has a type of unknown size.

    Example:
        >>> collectives("%y = f32[8]{0} all-reduce(%x), channel_id=1")
        (Collective(kind='all-reduce', result_bytes=32),)
    """
    found = [Collective(kind, size) for kind, size, _ in _collectives(compiled)]
    return tuple(sorted(found, key=lambda one: one.result_bytes, reverse=True))


def collective_bytes(compiled: Any) -> dict[str, int]:
    """Returns the bytes of the results of every kind of collective in a compiled program.

    .. math:: B_{kind} = \\sum_{ops} \\text{entries} \\cdot \\text{bytes an entry}

    Nothing is estimated: shapes and types are those of the program that runs. Bodies of loops count once, and all
    branches of a condition count.

    Args:
        compiled: From `jax.jit(fn).lower(*args).compile()`, or the text of its HLO.

    Returns:
        `{kind: bytes}` on one device, such as `{"all-reduce": 4000}`; empty if nothing is exchanged.

    Raises:
        ValueError: If the program has a type of unknown size.

    Example:
        >>> collective_bytes("%y = f32[64,16]{1,0} all-gather(%x), channel_id=1")
        {'all-gather': 4096}
    """
    found: dict[str, int] = {}
    for kind, size, _ in _collectives(compiled):
        found[kind] = found.get(kind, 0) + size
    return found


def wire_bytes(compiled: Any) -> int:
    """Returns the bytes that one device sends in one run of a compiled program, by the usual ring algorithms.

    For `n` devices in a group and a result of `B` bytes:

    .. math:: \\text{all-reduce: } 2 B \\tfrac{n-1}{n}, \\quad \\text{all-gather, all-to-all: } B \\tfrac{n-1}{n},
        \\quad \\text{reduce-scatter: } B (n - 1), \\quad \\text{permute: } B

    Args:
        compiled: As for `collective_bytes`.

    Returns:
        Number of bytes, rounded up.

    Raises:
        ValueError: If a collective does not say which devices take part.

    Example:
        >>> wire_bytes("%y = f32[8]{0} all-reduce(%x), replica_groups={{0,1,2,3}}, to_apply=%sum")
        48
    """
    total = 0.0
    for kind, size, rest in _collectives(compiled):
        n = 2 if kind == "collective-permute" else _group(rest)
        part = {"all-reduce": 2 * (n - 1) / n, "reduce-scatter": n - 1, "collective-permute": 1}
        total += size * part.get(kind, (n - 1) / n)
    return math.ceil(total)


def _collectives(compiled: Any) -> list[tuple[str, int, str]]:
    """Kind, bytes of the result, and attributes of every collective."""
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    found = []
    for result, kind, start, rest in _COLLECTIVE.findall(text):
        shapes = _SHAPE.findall(result)
        if start and kind in _PAIRED:
            shapes = shapes[1:2] if kind == "collective-permute" else shapes[len(shapes) // 2 :]
        found.append((kind, sum(_size(*shape) for shape in shapes), rest))
    return found


def _size(dtype: str, dims: str) -> int:
    bits = re.fullmatch(r"(?:s|u|f|bf|c)(\d+)(?:e\d+m\d+\w*)?", dtype)
    if dtype not in ("pred", "token") and bits is None:
        raise ValueError(f"collective_bytes: the size of type {dtype!r} is unknown; pass the HLO of another program")
    number = {"pred": 8, "token": 0}.get(dtype) if bits is None else int(bits[1])
    return math.ceil((number or 0) * math.prod(int(d) for d in dims.split(",") if d) / 8)


def _group(rest: str) -> int:
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", rest)
    if listed:
        return len(listed[1].split(","))
    iota = re.search(r"replica_groups=\[\d+,(\d+)\]", rest)
    if iota is None:
        raise ValueError(f"wire_bytes: a collective has no groups of devices: {rest[:80]!r}; compile for a mesh")
    return int(iota[1])
