"""Compiles steps that update masks on a 4 x 2 mesh of eight fake devices and prints what the devices exchange.

Run by `test_collectives`, in a process of its own because the number of devices is fixed at the start.
"""

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, measure, prune

KEY = jax.random.key(0)
METHODS = {
    "gradual": prune.gradual(0.9, end=2, every=1, distribution="global", normalize=True),
    "rigl": prune.rigl(0.9, KEY, end=9, every=1),
    "topkast": prune.topkast(0.9, 0.8, every=1, distribution="global"),
    "movement": prune.movement(0.9, end=2, every=1, distribution="global", optimizer=optax.sgd(1.0)),
}


def update(case: str, scale: int) -> dict[str, Any]:
    """The second step of a training of two kernels with `scale^2` times as many entries as the smallest."""
    name, _, kind = case.partition(", ")
    axes = (AxisType.Explicit if kind == "explicit" else AxisType.Auto,) * 2
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=axes)
    rng = np.random.default_rng(0)
    shapes = {"a": (32 * scale, 16 * scale), "b": (16 * scale, 48 * scale)}
    params = {path: {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32)} for path, shape in shapes.items()}
    grads = jax.tree.map(lambda x: jnp.sin(9 * x), params)
    tx = core.as_optax(METHODS[name], optax.sgd(0.1))
    state = tx.init(params)
    state = state._replace(compression=state.compression._replace(count=jnp.int32(1)))

    def step(params: Any, grads: Any, state: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state.compression

    sharding = NamedSharding(mesh, PartitionSpec("data", "model"))
    given = (params, grads, state)
    spread = jax.tree.map(lambda x: jax.device_put(x, sharding) if x.ndim > 1 else x, given)
    with jax.set_mesh(mesh):
        compiled = jax.jit(step).lower(*spread).compile()
        after = compiled(*spread)
    alone = jax.jit(step)(*given)
    one, many = (METHODS[name].view(*result) for result in (alone, after))
    same = all(np.array_equal(a != 0, b != 0) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True))
    kept = int(sum((x != 0).sum() for x in jax.tree.leaves(one)))
    return {"bytes": measure.collective_bytes(compiled), "same": same, "kept": kept}


if __name__ == "__main__":
    scales = [int(scale) for scale in sys.argv[1].split(",")]
    json.dump({case: [update(case, scale) for scale in scales] for case in sys.argv[2:]}, sys.stdout)
