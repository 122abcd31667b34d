"""Trains a tree with a node on eight fake devices, saves it, restores it on two, and prints how far apart they end.

Run by `test_saver`, in a process of its own because the number of devices is fixed at the start.
"""

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, interpret, lowrank, prune, recipe
from compressjax.recipe._saver import described, restore

COMPRESSION = prune.gradual(0.5, end=8, every=1)
TX = core.as_optax(COMPRESSION, optax.adam(0.01))
X = jnp.asarray(np.random.default_rng(0).normal(size=(32, 16)), jnp.float32)


@jax.jit
def step(params: Any, state: Any) -> Any:
    """One step of regression on the batch."""

    def loss(params: Any) -> jax.Array:
        run = interpret.lift(lambda p: jnp.tanh(X @ p["a"]) @ p["b"])
        return jnp.mean((run(COMPRESSION.view(params, state.compression)) - jnp.sin(X[:, :4])) ** 2)

    updates, state = TX.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state


def spread(tree: Any, data: int, model: int) -> Any:
    """The tree on a mesh: matrices split over both axes, all else everywhere."""
    kinds = (AxisType.Auto,) * 2
    mesh = jax.make_mesh((data, model), ("data", "model"), axis_types=kinds, devices=jax.devices()[: data * model])
    both, whole = (NamedSharding(mesh, PartitionSpec(*names)) for names in (("data", "model"), ()))
    return jax.tree.map(lambda x: jax.device_put(x, both if jnp.ndim(x) == 2 else whole), tree)


def main(folder: str) -> dict[str, Any]:
    """Four steps on 4 x 2 devices, a file, and four more on 2 x 1 and on 4 x 2."""
    rng = np.random.default_rng(1)
    dense = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in (("a", (16, 8)), ("b", (8, 4)))}
    params = core.compress(dense, {"a": lowrank.svd(rank=4)})
    start = (params, TX.init(params))
    eight = spread(start, 4, 2)
    for _ in range(4):
        eight = step(*eight)
    store = recipe.Store(folder)
    store.begin("run/step-4", jax.tree.leaves(eight), {"leaves": described(eight)}).wait()
    held = store.load("run/step-4")
    two, reason = restore(spread(start, 2, 1), held.tree, held.facts["leaves"])
    if reason:
        raise ValueError(reason)
    pairs = list(zip(jax.tree.leaves(eight), jax.tree.leaves(two), strict=True))
    found = {
        "split": sum(len(x.addressable_shards[0].data.ravel()) < x.size for x in jax.tree.leaves(eight)),
        "devices": sorted({len(x.sharding.device_set) for x in jax.tree.leaves(two)}),
        "equal": all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs),
    }
    for _ in range(4):
        eight, two = step(*eight), step(*two)
    pairs = list(zip(jax.tree.leaves(eight), jax.tree.leaves(two), strict=True))
    moved = [float(np.abs(np.subtract(a, b, dtype=np.float64)).max()) for a, b in pairs if a.size]
    params, state = two
    zeros = sum(int((x == 0).sum()) for x in jax.tree.leaves(COMPRESSION.view(params, state.compression)))
    return found | {"apart": max(moved), "zeros": zeros}


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
