"""Time and memory of compressing, observing and saving.

    python -m experiments.bench --config=configs/bench_compressing.py

The tree has the shapes of MiniLM, 22.3 M weights; compilation is included. Four minutes on two cores. Targets: rounding
1.5 s, magnitude 2 s, k-means 4 s, SVD 1.3 times what NumPy's decompositions take; 20 MB of float32 saved a second, for
every node; observing at most 2 times a forward pass, and 1.5 times its memory; SparseGPT in 3 times the model's bytes.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_compressing.py:smoke` has tiny trees."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny trees, few rounds, no bars"})
    config = ConfigDict()
    config.study = "compressing"
    config.seed = 0
    config.timing = {"warmup": 0, "rounds": 3, "inner": 1}
    config.encoder = {"layers": 6, "width": 384, "inner": 1536, "words": 30522, "batch": (8, 128)}
    config.convolutions = {"images": 8, "side": 224, "widths": (32, 48, 80, 160)}
    config.matrix = 2048
    config.memory = {"kernels": 48, "side": 1024}
    ours = "compressjax"
    config.bars = (
        ("round to nearest.*", ours, "median_ms", "<=", 1500.0),
        ("half by magnitude.*", ours, "median_ms", "<=", 2000.0),
        ("16 means.*", ours, "median_ms", "<=", 4000.0),
        ("svd.*", ours, "ratio", ">=", 1 / 1.3),
        ("save.*", ours, "rate", ">=", 20e6),
        ("observe.*", "observe without Gram matrices", "ratio", ">=", 0.5),
        ("observe.*", "observe", "ratio", ">=", 0.5),
        ("observe.*", "", "memory of observe over forward", "<=", 1.5),
        ("SparseGPT.*", "", "peak over the model's bytes", "<=", 3.0),
    )
    if smoke:
        config.timing = {"warmup": 0, "rounds": 2, "inner": 1}
        config.encoder = {"layers": 1, "width": 32, "inner": 64, "words": 50, "batch": (2, 4)}
        config.convolutions = {"images": 2, "side": 16, "widths": (8,)}
        config.matrix, config.bars = 64, ()
        config.memory = {"kernels": 2, "side": 64}
    return config
