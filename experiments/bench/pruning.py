"""What methods that prune during training add to it, their updates of masks included: whole stretches of steps."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import prune
from experiments import models
from experiments.bench.harness import Case
from experiments.bench.trainer import trainer

# By the number of steps between two masks; schedules end long after the measurement.
END = 1_000_000
METHODS: dict[str, Callable[[int], compressjax.Compression]] = {
    "gradual, uniform": lambda every: prune.gradual(0.9, end=END, every=every, initial=0.5),
    "gradual, global": lambda every: prune.gradual(0.9, end=END, every=every, initial=0.5, distribution="global"),
    "static": lambda every: prune.static(0.9, jax.random.key(0)),
    "set": lambda every: prune.set_(0.9, jax.random.key(0), end=END, every=every),
    "rigl": lambda every: prune.rigl(0.9, jax.random.key(0), end=END, every=every),
    "topkast": lambda every: prune.topkast(0.9, 0.8, every=every),
}


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One case: a stretch of dense training against the same stretch under each method.

    Args:
        config: `seed`, `model` `{name, settings}`, `shape` of a batch, `methods`, `every` (steps between two masks),
            `steps` of a stretch, a multiple of `every`.

    Yields:
        The case, with dense training as the baseline.
    """
    draw = np.random.default_rng(config.seed)
    x = jnp.asarray(draw.normal(size=config.shape), jnp.float32)
    y = jnp.asarray(draw.integers(10, size=config.shape[0]))
    model = models.create(config.model.name, config.model.settings)
    params = jax.jit(model.init)(jax.random.key(config.seed), x)
    thunks = {"dense": trainer(model.apply, params, None, x, y, config.steps)}
    for method in config.methods:
        thunks[method] = trainer(model.apply, params, METHODS[method](config.every), x, y, config.steps)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    yield Case(f"{config.steps} steps of {config.model.name}", thunks, {"weights": count}, {}, config.steps)
