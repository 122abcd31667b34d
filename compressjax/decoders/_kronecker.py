"""`Kronecker` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named
from compressjax.decoders._tensor_train import sides


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    left, right = fields["left"], fields["right"]
    both = np.einsum("...kab,...kcd->...acbd", left, right)
    return both.reshape(_shape({"left": left.shape}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    return (*shapes["left"][:-3], *meta["inputs"], *meta["outputs"])


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("left", "right"))
    named(meta, ("inputs", "outputs"))
    left, right = tuple(shapes["left"]), tuple(shapes["right"])
    if len(left) != len(right) or len(left) < 3 or left[:-2] != right[:-2]:
        raise ValueError(f"its factors have shapes {left} and {right}, which share no terms")
    sides(meta, left[-2] * right[-2], left[-1] * right[-1])


register("Kronecker", dense=_dense, shape=_shape, check=_check)
