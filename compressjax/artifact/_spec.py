"""Conversion of nodes and arrays to the specs that `coding` stores, and back."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

import compressjax.tensors  # noqa: F401 - registers the nodes of compressjax
from compressjax import core
from compressjax.coding import ArtifactError, Bits, UnknownNode
from compressjax.coding._leaf import stored
from compressjax.core._node import node_types

KEY = "Key"  # the name of typed random keys in files; no class has it


def to_spec(leaf: Any) -> Any:
    """Spec of a node, an array or a Python number: an array, or `{"node", "meta", "fields", "shape"}`."""
    if isinstance(leaf, core.Node):
        cls = type(leaf)
        if node_types().get(cls.type_name) is not cls:
            raise ArtifactError(
                f"{cls.__name__} is not the class that is registered as {cls.type_name!r}; decorate the class with "
                "core.node, and create the leaf again if its class was redefined"
            )
        fields = {key: to_spec(getattr(leaf, key)) for key, role in leaf.roles.items() if role != "meta"}
        meta = {key: getattr(leaf, key) for key, role in leaf.roles.items() if role == "meta"}
        meta = {key: value for key, value in meta.items() if key not in cls.added or value != cls.added[key]}
        for key, value in meta.items():
            if not _is_json(value):
                raise ArtifactError(
                    f"metadata {key!r} of a {cls.__name__} is {value!r}; files hold finite numbers, strings, Booleans, "
                    "None and tuples of them"
                )
        return {"node": cls.type_name, "meta": meta, "fields": fields, "shape": tuple(leaf.shape)}
    if leaf is None:
        return None
    if isinstance(leaf, tuple | list):
        return type(leaf)(to_spec(part) for part in leaf)
    if is_key(leaf):
        meta = {"impl": str(jax.random.key_impl(leaf))}
        return {"node": KEY, "meta": meta, "fields": {"data": np.asarray(jax.random.key_data(leaf))}}
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
        raise ArtifactError(f"a {type(leaf).__name__} cannot be stored; give arrays, nodes or numbers")
    return fetched(leaf) if isinstance(leaf, jax.Array) else np.asarray(leaf)


def fetched(x: jax.Array) -> np.ndarray:
    """An array of NumPy, from one copy of every shard; of an array on several hosts, on all of them."""
    if not x.is_fully_addressable:
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))
    if len(x.devices()) == 1:
        return np.asarray(x)
    whole = np.empty(x.shape, x.dtype)  # unlike `np.asarray`, this leaves no copy with the array
    for shard in x.addressable_shards:
        if shard.replica_id == 0:
            whole[shard.index] = np.asarray(shard.data)
    return whole


def from_spec(spec: Any, array: Callable[[np.ndarray], Any] = jnp.asarray) -> Any:
    """Inverse of `to_spec`: JAX arrays, or NumPy arrays if JAX would change the dtype (float64 without x64).

    `array` makes what stands for an array that JAX can hold.
    """
    if isinstance(spec, dict) and spec["node"] == KEY:
        return _key(spec)
    if isinstance(spec, dict):
        cls = node_types().get(spec["node"])
        if cls is None:
            raise UnknownNode(f"unknown node type {spec['node']!r}; {_remedy(spec['node'])}, before loading")
        roles = cls.roles
        if not set(spec["fields"]) <= {k for k in roles if roles[k] != "meta"} or not set(spec["meta"]) <= {
            k for k in roles if roles[k] == "meta"
        }:
            raise ArtifactError(
                f"a {spec['node']} with fields {sorted(spec['fields'])} and metadata "
                f"{sorted(spec['meta'])} is not what this version knows; install the compressjax that "
                "wrote the file"
            )
        try:
            return cls(**{key: from_spec(item, array) for key, item in spec["fields"].items()}, **spec["meta"])
        except TypeError as error:
            raise ArtifactError(f"a {spec['node']} cannot be built from the file: {error}") from error
    if isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        return type(spec)(from_spec(part, array) for part in spec)
    if spec is None:
        return None
    held = spec.data.view(jnp.dtype(spec.dtype)) if isinstance(spec, Bits) else spec
    kept = jax.dtypes.canonicalize_dtype(held.dtype) == held.dtype
    return array(held) if kept else held


def _key(spec: dict[str, Any]) -> Any:
    try:
        return jax.random.wrap_key_data(jnp.asarray(spec["fields"]["data"]), impl=spec["meta"]["impl"])
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"a random key of implementation {spec['meta']['impl'][:80]!r} cannot be made: {error}; install the JAX "
            "that wrote the file"
        ) from error


def _remedy(name: str) -> str:
    """How to register a type; a file never triggers an import."""
    module, _, kind = name.partition(":")
    if not kind:
        return "install the compressjax that wrote the file"
    if module in sys.modules:
        return f"{module} is loaded but declares no {kind}; run the code that declares it"
    return f"import {module}, which defines it"


def nonfinite(spec: Any) -> int:
    """Number of stored entries that are infinite or NaN; masked entries are not stored."""
    arrays = (array for array in stored(spec) if jnp.issubdtype(array.dtype, jnp.inexact))
    return sum(int(array.size - np.isfinite(array).sum()) for array in arrays)


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of typed random keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _is_json(value: Any) -> bool:
    """Whether a value survives a round trip through JSON."""
    if type(value) is tuple:
        return all(map(_is_json, value))
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))
