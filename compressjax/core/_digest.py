"""Digests of trees and of printed programs, the same in every process."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

_ADDRESS = re.compile(r"0x[0-9a-f]+")


def digest_of(tree: Any) -> str:
    """SHA-256 of a tree: its structure with what is static in it, and types, shapes and bytes of its arrays.

    Static functions count by their printed name, so that trees of other processes compare.
    """
    leaves, structure = jax.tree.flatten(tree)
    state = hashlib.sha256(_printed(structure).encode())
    for x in leaves:
        add_leaf(state, x)
    return state.hexdigest()


def add_leaf(state: Any, x: Any) -> None:
    """Adds a leaf to a running digest: type, shape and bytes of an array or a random key, else what prints."""
    if not isinstance(x, jax.Array | np.ndarray | np.generic):
        state.update(f"{type(x).__name__} {_printed(x)}".encode())
        return
    kind, shape = str(x.dtype), x.shape  # the type of a typed key names its generator
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    host = np.asarray(x)
    state.update(repr((kind, tuple(shape))).encode())
    if host.dtype.hasobject:
        state.update(_printed(host.tolist()).encode())
    else:
        state.update(np.ascontiguousarray(host).reshape(-1).view(np.uint8).data)


def digest_of_text(texts: Iterable[str]) -> str:
    """SHA-256 of printed programs; where objects lie in memory does not count."""
    return hashlib.sha256("\n".join(map(_printed, texts)).encode()).hexdigest()


def _printed(x: Any) -> str:
    return _ADDRESS.sub("", str(x))
