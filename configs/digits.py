"""The digits of scikit-learn: the main job that `make demo` runs.

Pruning after Zhu and Gupta (arXiv:1710.01878), tables after Han et al. (arXiv:1510.00149), distillation after Hinton
et al. (arXiv:1503.02531).

    python -m experiments.compress --config=configs/digits.py --workdir=runs/digits

Expected on two cores: one minute; 80x to 96x smaller at -0.37 to +0.19 points of error over three seeds, and about
twice as fast at 256 rows.
"""

from ml_collections import ConfigDict

from configs.common import arguments, shrink, training


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "hardly any steps", "cnn": "a convolutional network instead of dense layers"})
    config = ConfigDict()
    config.seed = 0
    config.skip = ()
    config.data = {"name": "digits", "path": ""}
    if "cnn" in words:
        _cnn(config)
    else:
        _mlp(config)
    return shrink(config, epochs=1.0) if "smoke" in words else config


def _mlp(config: ConfigDict) -> None:
    """Input and output layers are pruned, the square one in between becomes two thin ones, which run faster."""
    every = {"batch": 64, "chunk": 19, "save_every": 190}
    config.model = {"name": "mlp", "settings": {"widths": (512, 512)}}
    config.teacher = training(epochs=60.0, weight_decay=0.1, **every)
    sparsity = (("Dense_0/kernel", 0.75), ("Dense_2/kernel", 0.5))
    config.prune = training(epochs=40.0, soft=0.5, sparsity=sparsity, until=0.6, mask_every=10, **every)
    config.factorize = {
        "select": "Dense_1/kernel",
        "budgets": (0.03125, 0.0625, 0.125),
        "tolerance": 10.0,
        "margin": 0.75,
        "bits": 4.0,
    }
    config.qat = training(epochs=40.0, soft=0.5, rules=((".*kernel.*", 5, "tensor"),), **every)
    config.share = training(epochs=20.0, soft=0.5, rules=((".*kernel.*", 16),), init="linear", **every)
    config.distill = training(epochs=40.0, soft=0.9, **every)
    config.encode = {"rules": ((".*bias", 8, None),)}


def _cnn(config: ConfigDict) -> None:
    """The wide dense layer is pruned, the convolution becomes two."""
    every = {"batch": 64, "chunk": 19, "save_every": 190, "scan": False}
    config.model = {"name": "cnn", "settings": {"filters": (32, 64), "width": 256}}
    config.teacher = training(epochs=40.0, weight_decay=0.1, **every)
    sparsity = (("Dense_0/kernel", 0.97),)
    config.prune = training(epochs=30.0, soft=0.5, sparsity=sparsity, until=0.6, mask_every=10, **every)
    config.factorize = {"select": "Conv_1/kernel", "budgets": (0.3, 0.5), "tolerance": 5.0, "margin": 0.75, "bits": 4.0}
    config.qat = training(epochs=15.0, soft=0.5, rules=((".*kernel.*", 5, "tensor"),), **every)
    config.share = training(epochs=5.0, soft=0.5, rules=((".*kernel.*", 16),), init="linear", **every)
    config.distill = training(epochs=10.0, soft=0.9, **every)
    config.encode = {"rules": ((".*bias", 8, None),)}
