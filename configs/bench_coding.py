"""Speed and length of our files against the entropy and against a bare entropy coder.

    python -m experiments.bench --config=configs/bench_coding.py

About a minute on two cores. The payload is at most 1 % longer than the empirical entropy; at least 20 million symbols
are encoded per second.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_coding.py:smoke` has few symbols."""
    smoke = "smoke" in arguments(text, {"smoke": "few symbols, few rounds, no bars"})
    config = ConfigDict()
    config.study = "coding"
    config.seed = 0
    config.timing = {"warmup": 1, "rounds": 10}
    config.bits = (2, 3, 4, 8)
    config.counts = (100_000, 4_000_000)
    config.bars = (
        ("encode .*", "", "payload over entropy", "<=", 1.01),
        ("encode .*4,000,000.*", "", "coder alone encodes per second", ">=", 20e6),
        ("encode .*4,000,000.*", "compressjax file", "rate", ">=", 20e6),
    )
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.bits, config.counts, config.bars = (4,), (2000,), ()
    return config
