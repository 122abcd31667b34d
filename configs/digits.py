"""The digits of scikit-learn: the main job that `make demo` runs.

Pruning after Zhu and Gupta (arXiv:1710.01878), tables after Han et al. (arXiv:1510.00149), distillation after Hinton
et al. (arXiv:1503.02531).

    python -m experiments.compress --config=configs/digits.py --workdir=runs/digits

Expected on two cores: one minute; 80x to 97x smaller at -0.37 to +0.19 points of error over three seeds, and about
twice as fast at 256 rows.
"""

from ml_collections import ConfigDict

from configs.common import arguments, shrink

# Labels determine the order of the data and the cache keys, so new labels change the figures.
BIASES = ("encode", {"rules": ((".*bias", ("quant.rtn", {"bits": 8, "granularity": "tensor", "key": "encode"})),)})


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
    """Prunes the input and output layers and factorizes the square one in between, which is then faster."""
    every = {"batch": 64, "chunk": 19, "save_every": 190}
    taught = {"soft": 0.5, **every}
    config.model = {"name": "mlp", "settings": {"widths": (512, 512)}}
    sparsity = (("Dense_0/kernel", {"sparsity": 0.75}), ("Dense_2/kernel", {"sparsity": 0.5}))
    grids = {"select": ".*kernel.*", "bits": 5, "granularity": "tensor"}
    # Masked zeros do not enter codebooks; zeros of other kernels do.
    tables = ((".*Dense_1/kernel.*", {"ignore_zeros": False}), (".*kernel", {}))
    factorize = {"select": "Dense_1/kernel", "budgets": (0.03125, 0.0625, 0.125), "tolerance": 10.0}
    config.stages = (
        ("train", {"label": "teacher", "epochs": 60.0, "weight_decay": 0.1, **every}),
        ("prune.gradual", {"label": "prune", "rules": sparsity, "end": 0.6, "every": 10,
                           "train": {"epochs": 40.0, **taught}}),
        ("factorize", factorize),
        ("quant.fake_quant", {"label": "qat", **grids, "train": {"epochs": 40.0, **taught}}),
        ("share.kmeans", {"clusters": 16, "rules": tables, "open": ".*kernel.*"}),
        ("train", {"label": "share", "epochs": 20.0, **taught}),
        ("distill", {"epochs": 40.0, **every, "soft": 0.9}),
        BIASES,
    )  # fmt: skip


def _cnn(config: ConfigDict) -> None:
    """Prunes the wide dense layer and factorizes the convolution."""
    every = {"batch": 64, "chunk": 19, "save_every": 190, "scan": False}
    taught = {"soft": 0.5, **every}
    config.model = {"name": "cnn", "settings": {"filters": (32, 64), "width": 256}}
    grids = {"select": ".*kernel.*", "bits": 5, "granularity": "tensor"}
    tables = (("Dense_0/kernel", {}), (".*kernel.*", {"ignore_zeros": False}))
    config.stages = (
        ("train", {"label": "teacher", "epochs": 40.0, "weight_decay": 0.1, **every}),
        ("prune.gradual", {"label": "prune", "select": "Dense_0/kernel", "sparsity": 0.97, "end": 0.6, "every": 10,
                           "train": {"epochs": 30.0, **taught}}),
        ("factorize", {"select": "Conv_1/kernel", "budgets": (0.3, 0.5), "tolerance": 5.0}),
        ("quant.fake_quant", {"label": "qat", **grids, "train": {"epochs": 15.0, **taught}}),
        ("share.kmeans", {"clusters": 16, "rules": tables, "open": ".*kernel.*"}),
        ("train", {"label": "share", "epochs": 5.0, **taught}),
        ("distill", {"epochs": 10.0, **every, "soft": 0.9}),
        BIASES,
    )  # fmt: skip
