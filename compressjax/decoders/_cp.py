"""`CP` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _dense(fields: Mapping[str, Any], meta: Mapping[str, Any]) -> np.ndarray:
    first, *others = fields["factors"]
    lead, rank = first.shape[:-2], first.shape[-1]
    if not others:
        return first.sum(-1)
    outer = first
    for factor in others[:-1]:  # [*batch, entries so far, r]
        outer = (outer[..., :, None, :] * factor[..., None, :, :]).reshape(*lead, -1, rank)
    product = outer @ np.swapaxes(others[-1], -1, -2)
    return product.reshape(_shape({"factors": [f.shape for f in fields["factors"]]}, meta))


def _shape(shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[int, ...]:
    return (*shapes["factors"][0][:-2], *(shape[-2] for shape in shapes["factors"]))


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("factors",))
    named(meta, ())
    if not isinstance(fields["factors"], tuple) or not fields["factors"]:
        raise ValueError("its factors are not a tuple of at least one")
    found = [tuple(shape) for shape in shapes["factors"]]
    if any(len(shape) < 2 for shape in found) or len({(*shape[:-2], shape[-1]) for shape in found}) > 1:
        raise ValueError(f"its factors have shapes {found}, which share no rank")


register("CP", dense=_dense, shape=_shape, check=_check)
