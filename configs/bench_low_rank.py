"""Factorized layers under `lift` against dense float32, and against the factors written by hand.

    python -m experiments.bench --config=configs/bench_low_rank.py

About two minutes on two cores. The speed-up follows the fraction of weights, by hand and under `lift`. Target: a 3x3
convolution of 256 channels at a quarter of its operations (`lowrank.tucker`) at least twice as fast.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_low_rank.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny shapes, few rounds"})
    config = ConfigDict()
    config.study = "low_rank"
    config.seed = 0
    config.timing = {"warmup": 3, "rounds": 20}
    config.dense = {"shapes": ((4096, 4096),), "rows": (1, 64), "ranks": (256, 1024)}
    config.convolution = {"shapes": ((16, 128, 128, 3),), "images": (64,), "ranks": (16, 64)}
    config.tucker = {"shapes": ((14, 256, 256, 3),), "images": (1, 16), "budgets": (0.25,)}
    config.randomized = {"sizes": (), "ranks": ()}
    config.bars = () if smoke else (("conv 3x3 256->256 .* Tucker at 0.25, .*", "compressjax", "ratio", ">=", 2.0),)
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.dense = {"shapes": ((32, 16),), "rows": (1, 4), "ranks": (2,)}
        config.convolution = {"shapes": ((8, 4, 4, 3),), "images": (2,), "ranks": (2,)}
        config.tucker = {"shapes": ((8, 8, 8, 3),), "images": (2,), "budgets": (0.5,)}
        config.randomized = {"sizes": (24,), "ranks": (2,)}
    return config
