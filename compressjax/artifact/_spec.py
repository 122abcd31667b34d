"""Nodes and arrays as the neutral specs that `coding` stores, and back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, tensors
from compressjax.coding import ArtifactError, Bits

# The only types that loading a file can construct.
NODES: dict[str, type[core.Node]] = {
    cls.__name__: cls for cls in (tensors.Codebook, tensors.LowRank, tensors.Masked, tensors.Quantized, tensors.Sum)
}


def to_spec(leaf: Any) -> Any:
    """The spec of a node, an array or a Python number.

    Args:
        leaf: What stands at one path of a tree.

    Returns:
        A NumPy array, or `{"node", "meta", "fields"}` of them.

    Raises:
        ArtifactError: If the node's type is not in `NODES`, or the leaf is no concrete array.
    """
    if isinstance(leaf, core.Node):
        name = type(leaf).__name__
        if NODES.get(name) is not type(leaf):
            raise ArtifactError(f"node type {name!r} cannot be stored; files hold {sorted(NODES)}")
        fields = {key: to_spec(getattr(leaf, key)) for key, role in leaf.roles.items() if role != "meta"}
        meta = {key: getattr(leaf, key) for key, role in leaf.roles.items() if role == "meta"}
        return {"node": name, "meta": meta, "fields": fields}
    if leaf is None:
        return None
    if isinstance(leaf, tuple | list):
        return type(leaf)(to_spec(part) for part in leaf)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        raise ArtifactError("a typed random key cannot be stored; store jax.random.key_data(key)")
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
        raise ArtifactError(f"a {type(leaf).__name__} cannot be stored; give arrays, nodes or numbers")
    return np.asarray(leaf)


def from_spec(spec: Any) -> Any:
    """Inverse of `to_spec`: JAX arrays where JAX keeps the type, NumPy arrays for the rest (float64 without x64)."""
    if isinstance(spec, dict):
        cls = NODES.get(spec["node"])
        if cls is None:
            raise ArtifactError(f"unknown node type {spec['node']!r}; this version knows {sorted(NODES)}")
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
            return cls(**{key: from_spec(item) for key, item in spec["fields"].items()}, **spec["meta"])
        except TypeError as error:
            raise ArtifactError(f"a {spec['node']} cannot be built from the file: {error}") from error
    if isinstance(spec, tuple | list) and not isinstance(spec, Bits):
        return type(spec)(from_spec(part) for part in spec)
    if spec is None:
        return None
    array = spec.data.view(jnp.dtype(spec.dtype)) if isinstance(spec, Bits) else spec
    kept = jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype
    return jnp.asarray(array) if kept else array


def nonfinite(spec: Any, gate: np.ndarray | None = None) -> int:
    """Number of stored entries that are infinite or not a number; what a mask hides is not stored."""
    if isinstance(spec, dict):
        mask = spec["fields"].get("mask") if spec["node"] == "Masked" else None
        if mask is not None:
            gate = mask & gate if gate is not None and gate.shape == mask.shape else mask
        return sum(nonfinite(field, gate) for field in spec["fields"].values())
    if isinstance(spec, tuple | list):
        return sum(nonfinite(part, gate) for part in spec)
    if spec is None or not jnp.issubdtype(spec.dtype, jnp.inexact):
        return 0
    shown = spec[gate] if gate is not None and gate.shape == spec.shape else spec
    return int(shown.size - np.isfinite(shown).sum())
