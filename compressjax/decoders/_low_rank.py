"""`LowRank` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    left, right = fields["left"], fields["right"]
    batch = left.ndim - 1 - meta.get("inputs", 1)
    flat = right.reshape(*right.shape[: batch + 1], -1)
    product = left.reshape(*left.shape[:batch], -1, left.shape[-1]) @ flat
    return product.reshape(_shape({"left": left.shape, "right": right.shape}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    left, right = shapes["left"], shapes["right"]
    return (*left[:-1], *right[len(left) - meta.get("inputs", 1) :])


register("LowRank", dense=_dense, shape=_shape)
