"""`Codebook` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    table, codes = fields["centroids"], fields["codes"].astype(np.int64)
    batch = table.ndim - 1
    if batch == 0:
        return table[codes]
    flat = codes.reshape(*codes.shape[:batch], -1)
    return np.take_along_axis(table, flat, axis=-1).reshape(codes.shape)


register("Codebook", dense=_dense, shape=lambda shapes, meta: shapes["codes"], entrywise=("codes",))
