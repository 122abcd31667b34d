"""Sparse variational dropout (Molchanov et al., arXiv:1701.05369) and L0 gates (Louizos et al., arXiv:1712.01312).

    python -m experiments.reproduce --config=configs/learned_sparsity.py --workdir=runs/learned
    DATA=--config.data.path=package/data
    python -m experiments.reproduce --config=configs/learned_sparsity.py:mnist $DATA --workdir=runs/learned_mnist
    python -m experiments.reproduce --config=configs/learned_sparsity.py:mnist,lenet5 $DATA --workdir=runs/lenet5

LeNet-300-100 on Fashion-MNIST or MNIST, LeNet-5 on MNIST; three seeds. Target of variational dropout on Fashion-MNIST:
at least 95 % zeros at no more than 1 point over the dense network.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    choices = {
        "smoke": "digits, hardly any steps, one seed",
        "mnist": "MNIST instead of Fashion-MNIST",
        "lenet5": "the convolutional network",
    }
    words = arguments(text, choices)
    config = pruned("mnist" if "mnist" in words else "fashion_mnist")
    config.sparsities = ()
    config.units = True
    config.steps = 21060  # 45 epochs
    # Warm-ups and ends are fractions of the training run. The rate decay restarts at the end of the noise.
    config.restart = 0.7
    config.asked = (("variational", "dense", None, 1.0), ("variational", "", 95.0, None, "", "zeros"))
    if "smoke" in words:
        pruned("digits", config)
    if "lenet5" in words:
        config.model = {"name": "lenet5", "settings": {}}
        config.scan = False  # slow for convolutions on a CPU
        config.steps = config.steps if "smoke" in words else 4680  # 10 epochs
    config.methods = _methods(1257 if "smoke" in words else 60_000, "lenet5" in words)
    return config


def _methods(examples: int, convolutions: bool) -> tuple:
    """Separate noise for every weight; a gate per filter and per input of a dense layer."""
    filters = (("Conv_.*kernel", {"units": -1, "key": "filters"}),) if convolutions else ()
    gates = (*filters, ("Dense_.*kernel", {"units": 0, "key": "inputs"}))
    noise = {"key": "noise", "end": 0.7, "warmup": 0.17, "optimizer": ("optax:adam", {"learning_rate": 1e-2})}
    l0 = {"penalty": 0.2 / examples, "keep": 0.8, "end": 0.7, "optimizer": ("optax:adam", {"learning_rate": 5e-3})}
    return ("variational", ("prune.variational", noise)), ("l0", ("prune.l0", {"rules": gates, **l0}))
