"""Content keys: the same settings and data give the same key on every machine."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def canonical(value: Any) -> str:
    """Returns the canonical JSON text of a value: sorted keys, no spaces, tuples as lists.

    Args:
        value: Nested mappings, sequences, strings, numbers, booleans and `None`.

    Returns:
        The JSON text.

    Raises:
        ValueError: If JSON cannot represent the value (an array, a function, NaN).

    Example:
        >>> canonical({"b": (1, 2), "a": None})
        '{"a":null,"b":[1,2]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings must be plain JSON, got {value!r} ({error}); use names or numbers") from error


def digest(*parts: Any) -> str:
    """Returns the SHA-256 of the canonical JSON of `parts`, in order.

    Args:
        *parts: JSON values; see `canonical`.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> digest("a", 1) == digest("a", 1), digest("a", 1) == digest(1, "a")
        (True, False)
    """
    return hashlib.sha256("\n".join(canonical(part) for part in parts).encode()).hexdigest()


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the SHA-256 of named arrays: names, dtypes, shapes and bytes.

    Args:
        arrays: Arrays by name, in any order.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> a = fingerprint({"x": np.zeros(3)})
        >>> a == fingerprint({"x": np.zeros((3, 1))})
        False
    """
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(canonical([name, array.dtype.str, list(array.shape)]).encode())
        state.update(array.view(np.uint8).reshape(-1).data)
    return state.hexdigest()


def chain_keys(data: str, stages: Iterable[tuple[str, Any]]) -> list[str]:
    """Returns a key per stage, which changes with the stage's settings, any earlier stage and the data.

    ``key_0 = H(data), key_i = H(key_{i-1}, name_i, settings_i)``

    Args:
        data: Fingerprint of the data.
        stages: Pairs of name and JSON settings, in order.

    Returns:
        One key of 64 hexadecimal digits per stage.

    Example:
        >>> one = chain_keys("d", [("a", 1), ("b", 2)])
        >>> two = chain_keys("d", [("a", 1), ("b", 3)])
        >>> one[0] == two[0], one[1] == two[1]
        (True, False)
    """
    keys, key = [], digest(data)
    for name, settings in stages:
        key = digest(key, name, settings)
        keys.append(key)
    return keys
