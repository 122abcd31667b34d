"""`BlockDiagonal` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    blocks, inputs, outputs = (fields[name] for name in ("blocks", "inputs", "outputs"))
    out = np.zeros(_shape({"blocks": blocks.shape}, meta), blocks.dtype)
    lead = tuple(axis[..., None, None, None] for axis in np.indices(blocks.shape[:-3]))
    out[(*lead, inputs[..., :, None], outputs[..., None, :])] = blocks
    return out


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    *lead, b, i, o = shapes["blocks"]
    return (*lead, b * i, b * o)


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("blocks", "inputs", "outputs"))
    named(meta, ())
    *lead, b, i, o = shapes["blocks"]
    for name, size in (("inputs", i), ("outputs", o)):
        places = fields[name]
        if not isinstance(places, np.ndarray) or places.dtype.kind not in "iu" or places.shape != (*lead, b, size):
            raise ValueError(f"its {name} are not integers of shape {(*lead, b, size)}")
        if places.size and not 0 <= int(places.min()) <= int(places.max()) < b * size:
            raise ValueError(f"its {name} are not among its {b * size} units")


register("BlockDiagonal", dense=_dense, shape=_shape, check=_check)
