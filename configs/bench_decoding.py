"""An int8 cache of keys and values in decoding, against a float32 cache.

    python -m experiments.bench --config=configs/bench_decoding.py

Under a minute on two cores. Bytes: 27 % of float32 at 64 numbers per head. Relative error on normal numbers, whose
weighted mean is near zero: 2 to 4 %.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_decoding.py:smoke` is small and promises nothing."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny shapes, few rounds, no bars"})
    config = ConfigDict()
    config.study = "decoding"
    config.seed = 0
    config.timing = {"warmup": 3, "rounds": 20}
    config.batch, config.heads, config.dim = 4, 8, 64
    config.groups, config.tokens = (1, 4), (256, 2048)
    config.bars = ((".*", "", "error", "<=", 0.04),)
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.batch, config.heads, config.dim = 1, 2, 16
        config.groups, config.tokens = (2,), (32,)
        config.bars = ()
    return config
