"""`WeightNorm` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    inner, lengths = fields["inner"], fields["magnitude"]
    full = inner.astype(np.float32)
    axes = tuple(a for a, m in enumerate(lengths.shape) if m == 1)
    norm = np.sqrt(np.sum(full * full, axis=axes, keepdims=True))
    return (full * (lengths.astype(np.float32) / np.where(norm > 0, norm, 1))).astype(inner.dtype)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("inner", "magnitude"))
    named(meta, ())
    inner, lengths = tuple(shapes["inner"]), tuple(shapes["magnitude"])
    if len(inner) != len(lengths) or any(m not in (1, n) for m, n in zip(lengths, inner, strict=True)):
        raise ValueError(f"its magnitude of shape {lengths} is none of a tensor of shape {inner}")


register("WeightNorm", dense=_dense, shape=lambda shapes, meta: shapes["inner"], check=_check)
