"""Overhead of masks and fake quantization in a training step of a small convolutional network."""

from collections.abc import Callable, Iterator

import jax
import ml_collections

import compressjax
from compressjax import prune, quant
from experiments.bench.harness import Case
from experiments.bench.trainer import contenders

METHODS: dict[str, Callable[[int], compressjax.Compression]] = {
    "masked": lambda steps: prune.gradual(0.9, begin=0, end=steps),
    "masks updated every step": lambda steps: prune.gradual(0.9, begin=0, end=steps, every=1),
    "rigl": lambda steps: prune.rigl(0.9, jax.random.key(0), end=steps),
    "qat 4 bits": lambda steps: quant.fake_quant(bits=4),
    "qat 8 bits": lambda steps: quant.fake_quant(bits=8),
}


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One case: a dense step against a step under each method.

    Args:
        config: `seed`, `model` `{name, settings}`, `shape` of a batch, `methods`, `steps` of the schedules.

    Yields:
        The case, with the dense step as the baseline.
    """
    thunks, count = contenders(config, {method: METHODS[method](config.steps) for method in config.methods})
    name = f"step of {config.model.name}, {config.shape[0]} images"
    yield Case(name, thunks, {"weights": count}, {}, config.shape[0])
