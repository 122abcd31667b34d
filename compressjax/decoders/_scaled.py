"""`Scaled` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named
from compressjax.decoders._quantized import expand_blocks


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    inner = fields["inner"]
    return (inner * expand_blocks(fields["scale"], inner.shape)).astype(inner.dtype)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("inner", "scale"))
    named(meta, ())
    scale, inner = shapes["scale"], shapes["inner"]
    if not isinstance(fields["scale"], np.ndarray) or fields["scale"].dtype.kind != "f":
        raise ValueError("its scale is not an array of floats")
    if len(scale) != len(inner) or any(n % max(b, 1) or (n and not b) for b, n in zip(scale, inner, strict=True)):
        raise ValueError(f"its scale of shape {scale} does not tile a tensor of shape {inner}")


register("Scaled", dense=_dense, shape=lambda shapes, meta: shapes["inner"], entrywise=("inner",), check=_check)
