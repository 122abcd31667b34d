"""`TensorTrain` in NumPy."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    cores = fields["cores"]
    lead = cores[0].shape[:-4]
    whole = np.ones((*lead, 1, 1, 1), cores[0].dtype)
    for core in cores:
        r, i, o, p = core.shape[-4:]
        rows, columns = whole.shape[-3:-1]
        grown = whole.reshape(*lead, rows * columns, r) @ core.reshape(*lead, r, i * o * p)
        split = np.moveaxis(grown.reshape(*lead, rows, columns, i, o, p), -3, -4)
        whole = split.reshape(*lead, rows * i, columns * o, p)
    return whole.reshape(_shape({"cores": [core.shape for core in cores]}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    return (*shapes["cores"][0][:-4], *meta["inputs"], *meta["outputs"])


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("cores",))
    named(meta, ("inputs", "outputs"))
    if not isinstance(fields["cores"], tuple) or not fields["cores"]:
        raise ValueError("its cores are not a tuple of at least one")
    found = [tuple(shape) for shape in shapes["cores"]]
    if any(len(s) < 4 or len(s) != len(found[0]) or s[:-4] != found[0][:-4] for s in found):
        raise ValueError(f"its cores have shapes {found}, which share no batch axes")
    if found[0][-4] != 1 or found[-1][-1] != 1 or any(a[-1] != b[-4] for a, b in zip(found, found[1:])):
        raise ValueError(f"its cores have shapes {found}, whose ranks do not meet")
    sides(meta, math.prod(s[-3] for s in found), math.prod(s[-2] for s in found))


def sides(meta: Mapping[str, Any], rows: int, columns: int) -> None:
    """Raises unless the axes of both sides are sizes whose products are the rows and columns of the matrix."""
    for name, size in (("inputs", rows), ("outputs", columns)):
        axes = meta[name]
        if not isinstance(axes, tuple) or any(type(n) is not int or n < 0 for n in axes) or math.prod(axes) != size:
            raise ValueError(f"its {name} {axes!r} are not axes of {size} units")


register("TensorTrain", dense=_dense, shape=_shape, check=_check)
