"""`Sum` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    total, *terms = fields["terms"]
    for term in terms:
        total = total + term
    return total


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("terms",))
    named(meta, ())
    if not isinstance(fields["terms"], tuple) or not fields["terms"]:
        raise ValueError("its terms are not a tuple of at least one")
    found = {tuple(shape) for shape in shapes["terms"]}
    if len(found) > 1:
        raise ValueError(f"its terms have shapes {sorted(found)}")


register("Sum", dense=_dense, shape=lambda shapes, meta: shapes["terms"][0], entrywise=("terms",), check=_check)
