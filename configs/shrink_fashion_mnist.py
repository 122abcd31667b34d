"""Removes half the channels of a residual network with BatchNorm and fine-tunes it, on Fashion-MNIST.

    python -m experiments.shrink --config=configs/shrink_fashion_mnist.py --workdir=runs/shrink_fashion_mnist

About six minutes on two cores. At least 2 times faster on the CPU at no more than 1 point of accuracy lost; the masked
and the shrunk network agree to 1e-5, and the predicted operations are within a tenth of XLA's count. Method: Li et al.,
arXiv:1608.08710, with groups found by couplings.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The experiment; `configs/shrink_fashion_mnist.py:smoke` has a tiny network, few steps, and the digits."""
    smoke = "smoke" in arguments(text, {"smoke": "tiny network, few steps, the digits"})
    config = ConfigDict()
    config.seed = 0
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "resnet", "settings": {"widths": (32, 64, 128), "inner": (32, 64, 128)}}
    training = {"epochs": 1400 / 468, "batch": 128, "chunk": 100, "save_every": 700, "scan": False,
                "learning_rate": 2e-3, "weight_decay": 1e-3}  # fmt: skip
    config.batches = (1, 256)
    config.timing = {"warmup": 3, "rounds": 30}
    if smoke:
        config.data = {"name": "digits", "path": ""}
        config.model.settings = {"widths": (4, 8), "inner": (4, 6)}
        training |= {"epochs": 20 / 19, "batch": 64, "chunk": 10, "learning_rate": 5e-3, "weight_decay": 0.0}
        config.batches = (4,)
        config.timing = {"warmup": 1, "rounds": 2, "inner": 1}
    config.stages = (
        ("train", {"label": "dense", **training}),
        ("shrink", {"keep": 0.5, "saliency": "l1"}),
        ("train", {"label": "recovery", **training}),
    )
    return config
