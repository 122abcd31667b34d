"""Prints the peak memory of SparseGPT as a multiple of the model: `python -m experiments.bench.peak KERNELS SIDE`."""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, prune
from compressjax.interpret import observe


def peak(kernels: int, side: int) -> float:
    """The most memory that compressing adds, and the model itself, over the bytes of the model.

    Args:
        kernels: How many square kernels.
        side: Inputs and outputs of each.

    Returns:
        The multiple. Statistics are not counted: they are there before, and have the size of the model here.
    """
    draw = np.random.default_rng(0)
    params = {str(i): jnp.asarray(draw.normal(size=(side, side)), jnp.float32) for i in range(kernels)}
    x = jnp.asarray(draw.normal(size=(2 * side, side)), jnp.float32)
    _, stats = jax.block_until_ready(observe(lambda p, x: [x @ w for w in p.values()])(params, x))
    before = start()
    tree = jax.block_until_ready(core.compress(params, prune.sparsegpt(pattern="2:4"), stats=stats))
    model = 4 * kernels * side**2
    added = resident("VmHWM") - before
    del tree
    return (added + model) / model


def start() -> int:
    """Lets the peak of this process, `VmHWM`, start again from what is resident now; returns that, in bytes."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return resident("VmRSS")


def resident(field: str) -> int:
    """A field of the memory of this process, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


if __name__ == "__main__":
    print(peak(int(sys.argv[1]), int(sys.argv[2])))
