"""Overhead of pruning during training, mask updates included, over runs of many steps."""

from collections.abc import Callable, Iterator

import jax
import ml_collections

import compressjax
from compressjax import prune
from experiments.bench.harness import Case
from experiments.bench.trainer import contenders

KEY = jax.random.key(0)
# By the number of steps between two masks, or two decompositions; schedules end long after the measurement. Methods
# without such a number act at every step.
END = 1_000_000
METHODS: dict[str, Callable[[int], compressjax.Compression]] = {
    "gradual, uniform": lambda every: prune.gradual(0.9, end=END, every=every, initial=0.5),
    "gradual, global": lambda every: prune.gradual(0.9, end=END, every=every, initial=0.5, distribution="global"),
    "static": lambda every: prune.static(0.9, KEY),
    "set": lambda every: prune.set_(0.9, KEY, end=END, every=every),
    "rigl": lambda every: prune.rigl(0.9, KEY, end=END, every=every),
    "topkast": lambda every: prune.topkast(0.9, 0.8, every=every),
    "acdc": lambda every: prune.acdc(0.9, begin=0, every=every, end=END),
    "ste": lambda every: prune.ste(0.9, every=every),
    "sr_ste 2:4": lambda every: prune.sr_ste(pattern="2:4", every=every),
    "movement": lambda every: prune.movement(0.9, end=END, every=every),
    "soft_movement": lambda every: prune.soft_movement(penalty=1e-5),
    "soft_threshold": lambda every: prune.soft_threshold(),
    "l0, weights": lambda every: prune.l0(0.1, KEY, end=END),
    "l0, inputs": lambda every: prune.l0(0.1, KEY, end=END, units=0),
    "variational": lambda every: prune.variational(60_000, KEY, end=END, warmup=1),
    "proximal_l1": lambda every: prune.proximal_l1(1e-5),
    "proximal_group": lambda every: prune.proximal_group(1e-5, axis=0),
    "proximal_nuclear": lambda every: prune.proximal_nuclear(1e-5, every=every),
}


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One case: a run of dense training steps against the same run under each method.

    Args:
        config: `seed`, `model` `{name, settings}`, `shape` of a batch, `methods`, `every` (steps between two masks),
            `steps` of a stretch, a multiple of `every`.

    Yields:
        The case, with dense training as the baseline.
    """
    chosen = {method: METHODS[method](config.every) for method in config.methods}
    thunks, count = contenders(config, chosen, config.steps)
    yield Case(f"{config.steps} steps of {config.model.name}", thunks, {"weights": count}, {}, config.steps)
