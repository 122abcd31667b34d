"""K-means of single weights against scikit-learn.

    python -m experiments.bench --config=configs/bench_kmeans.py

A million normal weights, 16 and 256 clusters, at most 50 steps; minutes on two cores, nearly all of it scikit-learn
with 256. Targets: an inertia at most 0.1 % above that of scikit-learn, in at most its time; ours is compiled before.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_kmeans.py:smoke` is tiny."""
    smoke = "smoke" in arguments(text, {"smoke": "few weights, no bars"})
    config = ConfigDict()
    config.study = "kmeans"
    config.seed = 0
    config.timing = {"warmup": 0, "rounds": 2 if smoke else 3, "inner": 1}
    config.count = 1000 if smoke else 1_000_000
    config.clusters = (4,) if smoke else (16, 256)
    config.iterations = 50
    config.bars = () if smoke else (
        (".*", "compressjax", "ratio", ">=", 1.0),
        (".*", "", "inertia over", "<=", 1.001),
    )  # fmt: skip
    return config
