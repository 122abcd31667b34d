"""Randomized singular value decomposition against the exact one.

    python -m experiments.bench --config=configs/bench_randomized_svd.py

Target on two cores, 4096 x 4096 to rank 64: an error within 1 % of the best, in a quarter of the time. Several minutes,
nearly all of it the exact one.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_randomized_svd.py:smoke` is tiny."""
    smoke = "smoke" in arguments(text, {"smoke": "a tiny matrix, no bars"})
    config = ConfigDict()
    config.study = "low_rank"
    config.seed = 0
    config.timing = {"warmup": 0, "rounds": 2, "inner": 1}
    config.dense = {"shapes": (), "rows": (), "ranks": ()}
    config.convolution = {"shapes": (), "images": (), "ranks": ()}
    config.tucker = {"shapes": (), "images": (), "budgets": ()}
    config.randomized = {"sizes": (64,) if smoke else (4096,), "ranks": (4,) if smoke else (64,)}
    config.bars = () if smoke else (
        ("svd of 4096x4096, rank 64", "compressjax", "ratio", ">=", 4.0),
        ("svd of 4096x4096, rank 64", "", "loss over the best", "<=", 1.01),
    )  # fmt: skip
    return config
