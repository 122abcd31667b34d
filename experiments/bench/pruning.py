"""What methods that prune during training add to it, their updates of masks included: whole stretches of steps."""

from collections.abc import Callable, Iterator

import jax
import ml_collections

import compressjax
from compressjax import prune
from experiments.bench.harness import Case
from experiments.bench.trainer import contenders

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
    chosen = {method: METHODS[method](config.every) for method in config.methods}
    thunks, count = contenders(config, chosen, config.steps)
    yield Case(f"{config.steps} steps of {config.model.name}", thunks, {"weights": count}, {}, config.steps)
