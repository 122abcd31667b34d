"""The information in a leaf: the entropy of its codes and masks, and its numbers as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from compressjax.coding import _leaf
from compressjax.coding._dtypes import Bits


def information_bits(spec: Any) -> float:
    r"""Returns the order-0 entropy of the integers and masks that a file stores for a leaf, and its floats as they are.

    .. math:: I = \sum_{codes} -n_s \log_2 \frac{n_s}{n} + \sum_{floats} 8 \cdot \mathrm{bytes}

    A file may be below it, where codes depend on each other, and above it by tables of frequencies.

    Args:
        spec: A leaf as `read` gives it: an array, `Bits`, or a node spec.

    Returns:
        Bits; masked entries do not count, since they are not stored.

    Example:
        >>> information_bits(np.array([0, 1, 2, 3, 0, 1, 2, 3], np.uint8))
        16.0
    """
    narrow = _narrow(spec)
    return sum(map(_bits, _leaf.stored(narrow)), 0.0)


def _narrow(spec: Any) -> Any:
    """The spec with the bit patterns of `Bits` as bytes of their own, which are numbers and no codes."""
    if isinstance(spec, Bits):
        return spec.data.view(f"V{spec.data.dtype.itemsize}")
    if isinstance(spec, dict):
        return spec | {"fields": {name: _narrow(field) for name, field in spec["fields"].items()}}
    return type(spec)(map(_narrow, spec)) if isinstance(spec, tuple | list) else spec


def _bits(array: np.ndarray) -> float:
    if array.dtype.kind not in "biu":
        return 8.0 * array.nbytes
    counts = np.unique(array, return_counts=True)[1]
    return float((counts * np.log2(max(array.size, 1) / counts)).sum())
