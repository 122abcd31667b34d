"""Compiles a global mask update on a 4 x 2 mesh of eight fake devices and prints what the devices exchange.

Run by `test_collectives`, in a process of its own because the number of devices is fixed at the start.
"""

import json
import math
import re
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import prune

COLLECTIVE = re.compile(
    r"= (\S+|\([^)]*\)) (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)[-\w]*\("
)
BYTES = {"pred": 1, "s32": 4, "u32": 4, "f32": 4}


def exchanged(hlo: str) -> dict[str, int]:
    """Bytes of the results of every kind of collective in a program, loop bodies counted once."""
    found: dict[str, int] = {}
    for shapes, kind in COLLECTIVE.findall(hlo):
        for dtype, dims in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            size = BYTES[dtype] * math.prod(int(d) for d in dims.split(",") if d)
            found[kind] = found.get(kind, 0) + size
    return found


def update(scale: int, explicit: bool) -> dict[str, Any]:
    """One global update of two kernels with `scale^2` times as many entries as the smallest."""
    axes = (AxisType.Explicit if explicit else AxisType.Auto,) * 2
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=axes)
    rng = np.random.default_rng(0)
    shapes = {"a": (32 * scale, 16 * scale), "b": (16 * scale, 48 * scale)}
    dense = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    sharding = NamedSharding(mesh, PartitionSpec("data", "model"))
    params = {name: {"kernel": jax.device_put(x, sharding)} for name, x in dense.items()}
    method = prune.gradual(0.9, end=2, every=1, distribution="global", normalise=True)
    with jax.set_mesh(mesh):
        state = jax.jit(method.init)(params)
        if not explicit:  # there, types already say where the masks lie
            state = state._replace(masks={path: jax.device_put(x, sharding) for path, x in state.masks.items()})
        state = state._replace(count=jnp.int32(1))
        compiled = jax.jit(method.update).lower(state, params).compile()
        after = compiled(state, params)
    plain = {name: {"kernel": x} for name, x in dense.items()}
    alone = method.update(method.init(plain)._replace(count=jnp.int32(1)), plain)
    same = all(np.array_equal(after.masks[path], mask) for path, mask in alone.masks.items())
    return {
        "bytes": exchanged(compiled.as_text()),
        "same": same,
        "kept": int(sum(m.sum() for m in alone.masks.values())),
    }


if __name__ == "__main__":
    json.dump(
        {kind: [update(scale, kind == "explicit") for scale in (1, 4)] for kind in ("auto", "explicit")}, sys.stdout
    )
