"""Speed of networks in blocks and of early exits.

    python -m experiments.bench --config=configs/bench_splitting.py

Target: in two blocks, 64 rows at least 1.3 times as fast; an input that leaves at the first of four branches at least
twice as fast as without branches.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_splitting.py:smoke` is tiny."""
    smoke = "smoke" in arguments(text, {"smoke": "small products, hardly any rounds"})
    config = ConfigDict()
    config.study = "splitting"
    config.seed = 0
    config.width, config.depth = (32, 3) if smoke else (1024, 4)
    config.blocks = (2,) if smoke else (2, 4, 8)
    config.batches = (4,) if smoke else (1, 64)
    config.timing = {"warmup": 1, "rounds": 3} if smoke else {"warmup": 3, "rounds": 31}
    config.bars = () if smoke else (
        (".*, 64 rows", "2 blocks", "ratio", ">=", 1.3),
        (".*early exit", "leaves at the first branch", "ratio", ">=", 2.0),
    )  # fmt: skip
    return config
