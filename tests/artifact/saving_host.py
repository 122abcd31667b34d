"""One of two hosts of a mesh of four devices: saves a tree, loads it again, and compares its own shards.

Run by `test_hosts`: `python tests/artifact/saving_host.py ADDRESS NUMBER FILE`.
"""

import sys
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import artifact, tensors

ROWS = PartitionSpec("data")


def arrays() -> dict[str, np.ndarray]:
    """What both hosts and the test know."""
    rng = np.random.default_rng(0)
    return {"codes": rng.integers(-7, 8, (8, 6)).astype(np.int8), "scale": rng.random((4, 6)).astype(np.float32),
            "dense": rng.normal(size=(8, 5)).astype(np.float32)}  # fmt: skip


def tree(put: Any) -> dict[str, Any]:
    """A grid and an array."""
    codes, scale, dense = (put(x) for x in arrays().values())
    return {"grid": tensors.Quantized(codes, scale, bits=4), "dense": dense}


def main(address: str, number: str, file: str) -> None:
    """Saves and loads on one host."""
    jax.distributed.initialize(address, 2, int(number))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    rows = NamedSharding(mesh, ROWS)
    saved = tree(lambda x: jax.make_array_from_callback(x.shape, rows, lambda at: x[at]))
    assert not saved["dense"].is_fully_addressable
    length = artifact.save(file, saved).ledger.file_bytes
    multihost_utils.sync_global_devices("written")
    found = artifact.load(file, sharding=rows).tree
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(saved), strict=True):
        for one, other in zip(got.addressable_shards, want.addressable_shards, strict=True):
            assert one.index == other.index
            np.testing.assert_array_equal(one.data, other.data)
    print(length, len(found["dense"].addressable_shards))


if __name__ == "__main__":
    main(*sys.argv[1:])
