"""`Codebook` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    table, codes = fields["centroids"], fields["codes"].astype(np.int64)
    batch = table.ndim - 1
    if batch == 0:
        return table[codes]
    flat = codes.reshape(*codes.shape[:batch], -1)
    return np.take_along_axis(table, flat, axis=-1).reshape(codes.shape)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("centroids", "codes"))
    named(meta, ())
    codes, (*batch, k) = fields["codes"], shapes["centroids"]
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        raise ValueError("its codes are not integers")
    if list(codes.shape[: len(batch)]) != batch:
        raise ValueError(f"its tables have shape {shapes['centroids']}, its codes {codes.shape}")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < k:
        raise ValueError(f"its codes span {codes.min()} to {codes.max()}, its table has {k} entries")


register("Codebook", dense=_dense, shape=lambda shapes, meta: shapes["codes"], entrywise=("codes",), check=_check)
