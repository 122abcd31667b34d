"""Codes of a trained network in our files, against general compressors.

    python -m experiments.bench --config=configs/bench_coded.py

LeNet-300-100 on Fashion-MNIST, trained on grids of 2, 3 and 4 bits, and of 2 and 3 bits with 90 % zeros; minutes on
two cores. Targets: at 2 and 3 bits the file, with all that it has beside the codes, is 20 % under the best of
zstandard, brotli, xz and zlib on packed codes or on one byte a code; the codes take at most 0.5 % more than the
cross-entropy of their model; the rate term of training is within 1 % of the file; reading takes 10 million weights a
second, and the memory of one leaf.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_coded.py:smoke` has made-up codes and no targets."""
    smoke = "smoke" in arguments(text, {"smoke": "made-up codes, no bars"})
    config = pruned("fashion_mnist")
    config.study = "coded"
    config.seed = 0
    config.cache = "runs/bench/data"
    config.timing = {"warmup": 1, "rounds": 2 if smoke else 5, "inner": 1}
    config.grids = ((2, 0.0),) if smoke else ((2, 0.9), (3, 0.9), (2, 0.0), (3, 0.0), (4, 0.0))
    config.copies = 2 if smoke else 16
    config.steps = 3 * config.chunk
    config.tuning = {"steps": 2 * config.chunk, "learning_rate": 1e-3}
    if smoke:
        config.data.name = ""
    config.bars = () if smoke else (
        ("[23] bits.*", "", "file over the best peer", "<=", 0.8),
        (". bits.*", "", "coded over cross-entropy", "<=", 1.005),
        (". bits.*", "", "gap of the estimate", "<=", 0.01),
        ("decode .*", "", "weights a CPU second", ">=", 10e6),
        ("decode .*", "", "peak over that of one set of leaves", "<=", 1.1),
    )  # fmt: skip
    return config
