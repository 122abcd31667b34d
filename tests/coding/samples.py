"""Arrays and leaves that the tests of this folder store."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from compressjax import coding


def weights(seed: int, *shape: int) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spec(node: str, fields: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """The spec of a node."""
    return {"node": node, "meta": meta, "fields": fields}


def bell(seed: int, count: int, alphabet: int, width: float = 4.0) -> np.ndarray:
    """Bell-shaped symbols in `[0, alphabet)`, as codes of trained weights are."""
    draws = np.random.default_rng(seed).normal(size=count) * width + alphabet / 2
    return np.clip(np.rint(draws), 0, alphabet - 1).astype(np.uint16)


def mask(seed: int, rows: int, columns: int) -> np.ndarray:
    """A mask whose rows differ in density, some of them dead."""
    density = np.clip(np.linspace(-0.5, 0.9, rows), 0, 1)[:, None] ** 2
    return np.random.default_rng(seed).random((rows, columns)) < density


def shared(seed: int, rows: int = 30, columns: int = 20, k: int = 16) -> dict[str, Any]:
    """A pruned and shared kernel: Masked over Codebook."""
    codes = bell(seed, rows * columns, k, 2.0).astype(np.uint8).reshape(rows, columns)
    codebook = {"node": "Codebook", "meta": {}, "fields": {"centroids": weights(seed, k), "codes": codes}}
    return {"node": "Masked", "meta": {}, "fields": {"value": codebook, "mask": mask(seed, rows, columns)}}


def leaves() -> dict[str, Any]:
    """One leaf of every node type, and arrays that call for every codec."""
    rng = np.random.default_rng(3)
    low = {"left": weights(4, 9, 2), "right": weights(5, 2, 8)}
    grid = {
        "codes": (bell(1, 600, 15, 2.0).astype(np.int16) - 7).astype(np.int8).reshape(20, 30),
        "scale": np.abs(weights(2, 1, 20)),
        "zero_point": None,
        "activation_scale": None,
    }
    return {
        "shared": shared(0, 200, 30),
        "grid": {"node": "Quantized", "meta": {"bits": 4, "order": (1, 0), "dtype_name": "float32"}, "fields": grid},
        "low": {"node": "LowRank", "meta": {"inputs": 1}, "fields": low},
        "sum": {"node": "Sum", "meta": {}, "fields": {"terms": (weights(6, 3, 3), shared(7, 3, 3))}},
        "fill": np.zeros((3, 4), np.float32),
        "planes": weights(8, 400),
        "sparse": np.where(rng.random((50, 50)) < 0.1, weights(9, 50, 50), 0).astype(np.float32),
        "palette": np.array([0.1, 0.2, 0.3])[rng.integers(0, 3, (30, 30))],
        "gaps": np.arange(5000) % 97 == 0,
        "bernoulli": rng.random(500) < 0.1,
        "huffman": rng.permutation(np.repeat([0, 3, 5, 6], [80, 40, 20, 20])),
        "deflate": np.tile(rng.integers(0, 256, 50), 20).astype(np.uint8),
        "packed": rng.integers(0, 64, 100).astype(np.uint16),
    }


def whole(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """One array of what a decoder gives in blocks."""
    return np.concatenate(list(blocks))


def same(a: Any, b: Any) -> bool:
    """Whether two leaves agree in structure, types, shapes and every byte."""
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a["node"] == b["node"]
            and a["meta"] == b["meta"]
            and set(a["fields"]) == set(b["fields"])
            and all(same(a["fields"][name], b["fields"][name]) for name in a["fields"])
        )
    if isinstance(a, coding.Bits):
        return isinstance(b, coding.Bits) and a.dtype == b.dtype and same(a.data, b.data)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
