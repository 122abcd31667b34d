"""LeNet-300-100 on Fashion-MNIST (Xiao et al., arXiv:1708.07747), compressed after Han et al. (arXiv:1510.00149).

The data are Debian's package dataset-fashion-mnist; --config.data.path selects another folder of idx files.

    python -m experiments.compress --config=configs/fashion_mnist.py --workdir=runs/fashion_mnist
    python -m experiments.compress --config=configs/fashion_mnist.py:cnn --workdir=runs/fashion_mnist_cnn

Expected on two cores: three minutes; 60.4x to 61.0x smaller at +0.42 to +0.64 points of error over three seeds. The
`:cnn` variant has no promise.
"""

from ml_collections import ConfigDict

from configs.common import arguments, deep_compression, shrink


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "hardly any steps", "cnn": "a convolutional network, not LeNet-300-100"})
    config = ConfigDict()
    config.seed = 0
    config.skip = ()
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    if "cnn" in words:
        _cnn(config)
    else:
        _lenet(config)
    return shrink(config, epochs=0.1, chunk=10) if "smoke" in words else config


def _lenet(config: ConfigDict) -> None:
    """784-300-100-10, 266,610 parameters."""
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    # Mixup in distillation and early final masks cost no bytes in the file.
    taught = {"soft": 0.7, "mixup": 0.5}
    config.stages = deep_compression(
        teacher={"epochs": 15.0, "weight_decay": 0.1},
        sparsity={"Dense_0/kernel": 0.94, "Dense_1/kernel": 0.93, "Dense_2/kernel": 0.7},
        curve={"end": 0.45, "every": 100},
        prune={"epochs": 30.0, "weight_decay": 0.1, **taught},
        tune={"epochs": 4.0, "learning_rate": 3e-4, **taught},
        distill={"epochs": 4.0, **taught, "soft": 0.9},
    )


def _cnn(config: ConfigDict) -> None:
    """Two convolutions with one pooling, then 128 units: 1.6 M parameters, most of them between the two parts."""
    every = {"chunk": 117, "save_every": 468, "scan": False}
    config.model = {"name": "cnn", "settings": {"filters": (16, 32), "width": 128}}
    config.stages = deep_compression(
        teacher={"epochs": 6.0, "weight_decay": 0.1, **every},
        sparsity={"Conv_1/kernel": 0.6, "Dense_0/kernel": 0.98},
        curve={"end": 0.6, "every": 50},
        prune={"epochs": 6.0, "soft": 0.5, **every},
        tolerance=5.0,
        tune={"epochs": 1.0, "learning_rate": 3e-4, "soft": 0.5, **every},
        distill={"epochs": 1.0, "soft": 0.9, **every},
    )
