"""`Sum` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    total, *terms = fields["terms"]
    for term in terms:
        total = total + term
    return total


register("Sum", dense=_dense, shape=lambda shapes, meta: shapes["terms"][0], entrywise=("terms",))
