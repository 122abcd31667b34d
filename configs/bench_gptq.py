"""Time of GPTQ, compilation included, and its error.

    python -m experiments.bench --config=configs/bench_gptq.py

Targets on two cores: 1024 x 1024 under 5 s; at 128 x 128, at least 20 times faster than qwix, whose loop over inputs is
in Python. Half a minute without the peer; with it, ten minutes, nearly all of it the peer's.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_gptq.py:smoke` is tiny and runs no peer."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny kernels, no peer, no bars"})
    config = ConfigDict()
    config.study = "gptq"
    config.seed = 0
    config.bits = 4
    config.sizes = (16,) if smoke else (128, 1024)
    config.peer_sizes = () if smoke else (128,)
    config.peers = ("qwix",)
    config.timing = {"warmup": 0, "rounds": 2, "inner": 1}
    config.bars = () if smoke else (
        ("gptq 1024x1024, 4 bits", "compressjax", "median_ms", "<=", 5000.0),
        (".*", "", "loss of compressjax over round to nearest", "<=", 0.7),
    )  # fmt: skip
    return config
