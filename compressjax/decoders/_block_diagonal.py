"""`BlockDiagonal` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    blocks, inputs, outputs = (fields[name] for name in ("blocks", "inputs", "outputs"))
    out = np.zeros(_shape({"blocks": blocks.shape}, meta), blocks.dtype)
    lead = tuple(axis[..., None, None, None] for axis in np.indices(blocks.shape[:-3]))
    out[(*lead, inputs[..., :, None], outputs[..., None, :])] = blocks
    return out


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    *lead, b, i, o = shapes["blocks"]
    return (*lead, b * i, b * o)


register("BlockDiagonal", dense=_dense, shape=_shape)
