"""`Masked` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    value = fields["value"]
    return np.where(fields["mask"], value, np.zeros((), value.dtype))


register("Masked", dense=_dense, shape=lambda shapes, meta: shapes["mask"], entrywise=("mask", "value"), mask="mask")
