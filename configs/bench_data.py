"""Decomposition, sparse representation, selection and coresets against scikit-learn, on one machine in one run.

    python -m experiments.bench --config=configs/bench_data.py

About ten minutes on two cores. Every method takes at most as long as scikit-learn, once it is compiled, and half as
long in the geometric mean; what it minimizes is at most a few percent above. Images are those of Fashion-MNIST
(`apt-get install dataset-fashion-mnist`).
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_data.py:smoke` has small made-up data."""
    smoke = "smoke" in arguments(text, {"smoke": "small made-up data, few rounds, no bars"})
    config = ConfigDict()
    config.study = "data"
    config.seed = 0
    config.timing = {"warmup": 1, "rounds": 5, "inner": 1}
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.images = 60_000
    config.methods = ("pca", "incremental_pca", "svd", "lasso", "nmf", "dictionary", "information", "centers")
    config.pca = {"components": 64}
    config.incremental_pca = {"components": 64, "rows": 60_000, "batch": 3_920}
    config.svd = {"rows": 20_000, "columns": 2_000, "rank": 50, "power": 4}
    config.lasso = {
        "rows": 10_000,
        "columns": 1_000,
        "nonzeros": 50,
        "penalties": 100,
        "least": 1e-3,
        "tolerance": 1e-4,
    }
    config.nmf = {"rows": 20_000, "size": 8, "components": 32, "steps": 50}
    config.dictionary = {"rows": 20_000, "size": 8, "atoms": 64, "penalty": 0.2, "batch": 256}
    config.information = {"rows": 20_000, "columns": 100, "classes": 10}
    config.centers = {"rows": 60_000, "centers": 50}
    config.bars = (
        (".*", "compressjax", "ratio", ">=", 1.0),
        ("all cases", "", "geometric mean of compressjax", ">=", 2.0),
        (".*", "", "error above", "<=", 0.05),
    )
    if smoke:
        config.timing = {"warmup": 0, "rounds": 2, "inner": 1}
        config.data = {"name": "", "path": ""}
        config.images = 60
        config.pca = {"components": 2}
        config.incremental_pca = {"components": 8, "rows": 60, "batch": 30}
        config.svd = {"rows": 40, "columns": 30, "rank": 2, "power": 4}
        config.lasso = {"rows": 40, "columns": 6, "nonzeros": 2, "penalties": 4, "least": 1e-1, "tolerance": 1e-6}
        config.nmf = {"rows": 50, "size": 3, "components": 2, "steps": 5}
        config.dictionary = {"rows": 60, "size": 3, "atoms": 4, "penalty": 0.5, "batch": 10}
        config.information = {"rows": 60, "columns": 3, "classes": 2}
        config.centers = {"rows": 60, "centers": 3}
        config.bars = ()
    return config
