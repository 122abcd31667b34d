"""Gradual magnitude pruning (Zhu and Gupta, arXiv:1710.01878) of LeNet-300-100 on Fashion-MNIST, from scratch.

    python -m experiments.reproduce --config=configs/gradual_fashion_mnist.py --workdir=runs/gradual

Target: at most +0.3, +0.8, +1.3 and +3 points of error over the dense network at 80, 90, 95 and 98 %, three seeds.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

POINTS = {0.8: 0.3, 0.9: 0.8, 0.95: 1.3, 0.98: 3.0}


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/gradual_fashion_mnist.py:smoke` has few steps and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("fashion_mnist")
    config.sparsities = tuple(POINTS)
    if smoke:
        pruned("digits", config)
        config.sparsities = (0.8,)
    curve = {"begin": 0.05, "end": 0.6, "every": 2 if smoke else 50, "distribution": "erk"}
    config.methods = (("gradual", ("prune.gradual", curve)),)
    config.asked = tuple((f"gradual {s}", "dense", None, points) for s, points in POINTS.items())
    return config
