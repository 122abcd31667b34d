"""`VectorCodebook` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    table, codes, axis = fields["centroids"], fields["codes"].astype(np.int64), meta["axis"]
    groups = table.shape[-3]
    lead = table.shape[:-3]
    moved = np.moveaxis(codes.reshape(-1, *codes.shape[len(lead) :]), axis, 1)
    tables, places = table.reshape(-1, *table.shape[-3:]), moved.shape[1]
    group = (np.arange(places) // max(places // groups, 1)).reshape(-1, *(1,) * (moved.ndim - 2))
    out = [
        np.moveaxis(one[group, part], -1, 1).reshape(-1, *part.shape[1:])
        for one, part in zip(tables, moved, strict=True)
    ]
    dense = np.moveaxis(np.array(out), 1, axis) if out else np.zeros(0, table.dtype)
    return dense.reshape(_shape({"codes": codes.shape, "centroids": table.shape}, meta)).astype(table.dtype, copy=False)


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    sizes = list(shapes["codes"])
    sizes[meta["axis"]] *= shapes["centroids"][-1]
    return tuple(sizes)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("centroids", "codes"))
    named(meta, ("axis",))
    codes, (*batch, groups, k, _) = fields["codes"], shapes["centroids"]
    axis = meta["axis"]
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        raise ValueError("its codes are not integers")
    if (
        type(axis) is not int
        or not len(batch) - codes.ndim <= axis < 0
        or list(codes.shape[: len(batch)]) != list(batch)
    ):
        raise ValueError(f"its tables have shape {shapes['centroids']}, its codes {codes.shape}, cut along {axis!r}")
    if not groups or codes.shape[axis] % groups:
        raise ValueError(f"{groups} groups do not divide {codes.shape[axis]} places")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < k:
        raise ValueError(f"its codes span {codes.min()} to {codes.max()}, its tables have {k} entries")


register("VectorCodebook", dense=_dense, shape=_shape, check=_check)
