"""`LowRank` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    left, right = fields["left"], fields["right"]
    batch = left.ndim - 1 - meta.get("inputs", 1)
    flat = right.reshape(*right.shape[: batch + 1], -1)
    product = left.reshape(*left.shape[:batch], -1, left.shape[-1]) @ flat
    return product.reshape(_shape({"left": left.shape, "right": right.shape}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    left, right = shapes["left"], shapes["right"]
    return (*left[:-1], *right[len(left) - meta.get("inputs", 1) :])


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("left", "right"))
    named(meta, (), ("inputs",))
    left, right, inputs = shapes["left"], shapes["right"], meta.get("inputs", 1)
    batch = len(left) - 1 - inputs if type(inputs) is int else -1
    if batch < 0 or inputs < 0 or len(right) <= batch:
        raise ValueError(f"{inputs!r} input axes do not fit factors of shape {left} and {right}")
    if (*left[:batch], left[-1]) != tuple(right[: batch + 1]):
        raise ValueError(f"its factors have shapes {left} and {right}, which share no rank")


register("LowRank", dense=_dense, shape=_shape, check=_check)
