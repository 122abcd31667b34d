"""Sensitivity curves, masks and dead units of a trained network.

    python -m experiments.prune_report --config=configs/prune_report.py --workdir=runs/prune_report
    python -m experiments.prune_report --config=configs/prune_report.py:fashion_mnist --workdir=runs/prune_fashion

About half a minute on the digits; on Fashion-MNIST (LeNet-300-100) a minute of training comes first.
"""

from ml_collections import ConfigDict

from configs.common import arguments, shrink


def get_config(text: str = "") -> ConfigDict:
    """Settings of the report; `text` holds words of `arguments`, separated by commas."""
    choices = {"smoke": "hardly any steps", "fashion_mnist": "LeNet-300-100 on Fashion-MNIST"}
    words = arguments(text, choices)
    config = ConfigDict()
    config.seed = 0
    config.sparsities = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)  # of single leaves
    config.totals = (0.8, 0.9)  # of the whole network
    config.examples = 1024  # for curves and statistics, from the training set
    config.batch = 256
    if "fashion_mnist" in words:
        config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
        config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
        teacher = {"epochs": 15.0}
    else:
        config.data = {"name": "digits", "path": ""}
        config.model = {"name": "mlp", "settings": {"widths": (128, 64)}}
        teacher = {"epochs": 60.0, "batch": 64, "chunk": 19, "save_every": 190}
    config.stages = (("train", {"label": "teacher", **teacher}),)
    by_sensitivity = {"distribution": ("prune.distributions.by_sensitivity", {})}
    # The report adds the total sparsity, the curves, the loss and the batches.
    config.methods = (
        ("uniform", ("prune.magnitude", {})),
        ("erk", ("prune.magnitude", {"distribution": "erk"})),
        ("global", ("prune.magnitude", {"distribution": "global"})),
        ("lamp", ("prune.one_shot", {"saliency": ("saliency.lamp", {}), "distribution": "global"})),
        ("sensitivity", ("prune.magnitude", by_sensitivity)),
        ("fisher", ("prune.one_shot", {"saliency": ("saliency.fisher", {}), "distribution": "global"})),
        ("wanda", ("prune.wanda", {})),
        ("sparsegpt", ("prune.sparsegpt", {})),
        ("sparsegpt by sensitivity", ("prune.sparsegpt", by_sensitivity)),
    )
    if "smoke" in words:
        shrink(config, epochs=1.0)
        config.examples, config.batch, config.sparsities, config.totals = 64, 32, (0.5, 0.9), (0.8,)
    return config
