"""`Masked` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    value = fields["value"]
    return np.where(fields["mask"], value, np.zeros((), value.dtype))


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("mask", "value"))
    named(meta, ())
    if not isinstance(fields["mask"], np.ndarray) or fields["mask"].dtype != bool:
        raise ValueError("its mask is not a Boolean array")
    if tuple(shapes["mask"]) != tuple(shapes["value"]):
        raise ValueError(f"its mask has shape {shapes['mask']}, its values {shapes['value']}")


register(
    "Masked",
    dense=_dense,
    shape=lambda shapes, meta: shapes["mask"],
    entrywise=("mask", "value"),
    mask="mask",
    check=_check,
)
