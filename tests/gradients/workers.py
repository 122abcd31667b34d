"""Four workers as a mapped axis of one device, and gradients that differ between them."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.gradients._compressor import Draw
from compressjax.gradients._link import Link

AXIS, WORKERS, STEPS = "workers", 4, 3
SHAPE = (6, 5)


def gradients(steps=STEPS):
    """Gradients of every step and worker: `[steps, workers, ...]`."""
    rng = np.random.default_rng(0)
    made = {"bias": (5,), "kernel": SHAPE}
    return {name: rng.normal(size=(steps, WORKERS, *shape)).astype(np.float32) for name, shape in made.items()}


def run(tx, grads):
    """Averages of every step and worker, and the last state, in one program."""

    def worker(grads):
        def step(state, g):
            updates, state = tx.update(g, state)
            return state, updates

        state = tx.init(jax.tree.map(lambda x: x[0], grads))
        state, updates = jax.lax.scan(step, state, grads)
        return updates, state

    updates, state = jax.jit(jax.vmap(worker, in_axes=1, out_axes=(1, 0), axis_name=AXIS))(grads)
    return jax.tree.map(np.asarray, updates), jax.tree.map(np.asarray, state)


def once(compressor, x, axis=None, key=0):
    """One exchange of one worker: what it says, and the average."""

    keys = jax.random.split(jax.random.key(key))
    draw, state = Draw(*keys, jnp.zeros((), jnp.int32)), compressor.init(x.shape, keys[0])
    own, mean, _ = compressor.exchange(jnp.asarray(x), state, draw, Link(axis))
    return own, mean
