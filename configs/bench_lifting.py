"""Overhead of `lift`: time to trace, and time to run a tree without compressed leaves.

    python -m experiments.bench --config=configs/bench_lifting.py

About a minute on two cores. Tracing takes at most 1.5 times as long; without nodes the program is the same.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_lifting.py:smoke` has one small network."""
    smoke = "smoke" in arguments(text, {"smoke": "one small network, few rounds"})
    config = ConfigDict()
    config.study = "lifting"
    config.seed = 0
    config.timing = {"warmup": 2, "rounds": 20}
    config.networks = {
        "mlp": {"width": 256, "depth": 4, "shape": (64, 256)},
        "cnn": {"width": 64, "depth": 4, "shape": (16, 16, 16, 3)},
        "encoder": {"width": 128, "depth": 4, "shape": (8, 64, 128)},
    }
    config.compressions = ("int8", "low rank")
    config.bars = (
        ("trace .*", "compressjax, int8", "ratio", ">=", 1 / 1.5),
        ("trace .*", "compressjax, low rank", "ratio", ">=", 1 / 1.5),
        ("run .*", "", "same program", ">=", 1),
    )
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.networks = {"mlp": {"width": 16, "depth": 1, "shape": (2, 16)}}
        config.bars = ()
    return config
