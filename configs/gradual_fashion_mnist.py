"""Gradual magnitude pruning (Zhu and Gupta, arXiv:1710.01878) of LeNet-300-100 on Fashion-MNIST, from scratch.

    python -m experiments.reproduce --config=configs/gradual_fashion_mnist.py --workdir=runs/gradual

Asked: at most +0.3, +0.8, +1.3 and +3 points of error over the dense network at 80, 90, 95 and 98 %, three seeds.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/gradual_fashion_mnist.py:smoke` has hardly any steps and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = ConfigDict()
    config.study = "gradual"
    config.seeds = (0, 1, 2)
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.batch = 128
    config.steps = 7020  # 15 epochs
    config.chunk = 468
    config.learning_rate = 1e-3
    config.cosine = True
    # Pairs of sparsity and allowed points over the dense network.
    config.sparsities = ((0.8, 0.3), (0.9, 0.8), (0.95, 1.3), (0.98, 3.0))
    config.distribution = "erk"
    config.begin, config.end, config.every = 0.05, 0.6, 50
    if smoke:
        config.data = {"name": "digits", "path": ""}
        config.seeds = (0,)
        config.steps, config.chunk, config.batch = 40, 20, 32
        config.sparsities = ((0.8, 0.3),)
        config.every = 2
    return config
