"""Patterns without JAX, and what a damaged file may claim."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, dumps, loads, materialize
from tests.coding.samples import spec, weights

HASHED = {"sizes": (3,), "pattern": "hashed", "seed": 0}


@pytest.mark.parametrize(
    ("values", "meta", "dense"),
    [
        ([[[1, 2]]], {"sizes": (2, 2), "pattern": "circulant", "seed": 0}, [[1, 2], [2, 1]]),
        ([1, 2, 3], {"sizes": (2, 2), "pattern": "toeplitz", "seed": 0}, [[2, 3], [1, 2]]),
        # Hashes of 0, 1 and 2 are 0, 0x514E28B7 and 0x30F4C306; signs are their lowest bits.
        ([5, 7, 9], HASHED, [5, -[5, 7, 9][(0x514E28B7 >> 1) % 3], [5, 7, 9][(0x30F4C306 >> 1) % 3]]),
    ],
)  # fmt: skip
def test_small_patterns(values, meta, dense):
    leaf = spec("Patterned", {"values": np.array(values, np.float32)}, **meta)
    assert materialize(loads(dumps({"w": leaf})).leaves["w"]).tolist() == dense


@pytest.mark.parametrize(
    "change", [{"sizes": (3, 2)}, {"pattern": "spiral"}, {"seed": -1}, {"sizes": (2.0, 2)}, {"extra": 1}]
)
def test_what_does_not_fit_is_refused(change):
    meta = {"sizes": (2, 2), "pattern": "toeplitz", "seed": 0} | change
    with pytest.raises(ArtifactError):
        loads(dumps({"w": spec("Patterned", {"values": weights(0, 3)}, **meta)}))
