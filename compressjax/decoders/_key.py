"""A typed random key, as its data and the name of its implementation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("data",))
    named(meta, ("impl",))
    data = fields["data"]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint32 or not data.ndim or type(meta["impl"]) is not str:
        raise ValueError("its data are not 32-bit words, or its implementation has no name")


register("Key", dense=lambda fields, meta: fields["data"], shape=lambda shapes, meta: shapes["data"], check=_check)
