"""`Tucker` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _sides(ndim: int, meta: Mapping[str, Any]) -> tuple[int, int]:
    return ndim + meta.get("inputs", -2), ndim + meta.get("outputs", -1)


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    left, core, right = fields["left"], fields["core"], fields["right"]
    n, lead = core.ndim, list(range(left.ndim - 2))
    i, o = _sides(n, meta)
    placed = [n if a == i else n + 1 if a == o else a for a in range(n)]
    # One factor at a time: einsum of all three would loop over both ranks for every entry.
    half = np.einsum(left, [*lead, i, n], core, placed, [i if a == n else a for a in placed])
    return np.einsum(half, [i if a == n else a for a in placed], right, [*lead, n + 1, o], list(range(n)))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    i, o = _sides(len(shapes["core"]), meta)
    ends = {i: shapes["left"][-2], o: shapes["right"][-1]}
    return tuple(ends.get(a, size) for a, size in enumerate(shapes["core"]))


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("left", "core", "right"))
    named(meta, (), ("inputs", "outputs"))
    left, core, right = (tuple(shapes[name]) for name in ("left", "core", "right"))
    if any(type(meta.get(name, -1)) is not int for name in ("inputs", "outputs")):
        raise ValueError(f"its sides {meta} are not integers")
    (i, o), batch = _sides(len(core), meta), len(left) - 2
    if batch < 0 or i == o or not batch <= min(i, o) <= max(i, o) < len(core) or len(right) != len(left):
        raise ValueError(f"the axes {i} and {o} do not fit fields of shape {left}, {core} and {right}")
    if not left[:batch] == core[:batch] == right[:batch] or (left[-1], right[-2]) != (core[i], core[o]):
        raise ValueError(f"its fields have shapes {left}, {core} and {right}, which share no ranks")


register("Tucker", dense=_dense, shape=_shape, check=_check)
