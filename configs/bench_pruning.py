"""Overhead of pruning during training: 100 steps of LeNet-300-100 on 128 images, with one update of masks.

    python -m experiments.bench --config=configs/bench_pruning.py

About four minutes on two cores. On average a step under a mask, updates included, takes at most 1.10 times as long as a
dense one; STE, movement and the nuclear norm, which by default rank or decompose at every step, do it once as well.
Methods that learn scores, gates or variances, or shrink weights, do so at every step, and have no bar: this step is the
smallest one here, and these methods add passes over the weights.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bench_pruning.py:smoke` has a small network."""
    smoke = "smoke" in arguments(text, {"smoke": "small network, few rounds, no bars"})
    config = ConfigDict()
    config.study = "pruning"
    config.seed = 0
    config.timing = {"warmup": 1, "rounds": 12, "inner": 1}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.shape = (128, 28, 28, 1)
    config.steps = 100
    config.every = 100
    masks = ("gradual, uniform", "gradual, global", "static", "set", "rigl", "topkast", "acdc", "ste", "sr_ste 2:4")
    learned = ("movement", "soft_movement", "soft_threshold", "l0, inputs", "l0, weights", "variational")
    config.methods = (*masks, *learned, "proximal_l1", "proximal_group", "proximal_nuclear")
    config.bars = tuple((".*", method, "ratio", ">=", 1 / 1.10) for method in masks)
    if smoke:
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
        config.model = {"name": "mlp", "settings": {"widths": (8,)}}
        config.shape = (4, 4, 4, 1)
        config.steps = config.every = 4
        config.methods = ("gradual, global", "rigl")
        config.bars = ()
    return config
