"""Overhead of masks and fake quantization in a training step of a convolutional network on Fashion-MNIST's shapes.

    python -m experiments.bench --config=configs/bench_training.py

About two minutes on two cores. A masked or fake-quantized step takes at most 1.15 times as long as a dense one.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_training.py:smoke` has a small network."""
    smoke = "smoke" in arguments(text, {"smoke": "small network, few rounds, no bars"})
    config = ConfigDict()
    config.study = "training"
    config.seed = 0
    config.timing = {"warmup": 3, "rounds": 30}
    config.model = {"name": "cnn", "settings": {"filters": (32, 64), "width": 256}}
    config.shape = (128, 28, 28, 1)
    config.steps = 10_000  # so that the schedule runs during the whole measurement
    # A median hides masks updated every 100 steps; every step is the upper bound.
    config.methods = ("masked", "masks updated every step", "rigl", "qat 4 bits", "qat 8 bits")
    config.bars = (
        ("step .*", "masked", "ratio", ">=", 1 / 1.15),
        ("step .*", "rigl", "ratio", ">=", 1 / 1.10),
        ("step .*", "qat 4 bits", "ratio", ">=", 1 / 1.15),
        ("step .*", "qat 8 bits", "ratio", ">=", 1 / 1.15),
    )
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.model = {"name": "cnn", "settings": {"filters": (2, 4), "width": 8}}
        config.shape = (4, 28, 28, 1)
        config.methods = ("masked", "qat 4 bits")
        config.bars = ()
    return config
