"""PowerSGD (arXiv:1905.13727) and top-k with and without error feedback: wire bytes a step, and the error.

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m experiments.reproduce \
        --config=configs/compressed_gradients.py --workdir=runs/compressed_gradients

Bytes are those that one of the devices sends a step, read from the compiled programs of LeNet-5 and ResNet-20; the
error is that of LeNet-5 after three epochs, or with `:mlp` of LeNet-300-100 after fifteen, on Fashion-MNIST, three
seeds, with four workers that share one device, as a CPU is faster so. Targets: PowerSGD of rank 2 and top-k of 1 %
send at most a fiftieth of the dense all-reduce, and lose at most half a point with error feedback. The all-gather of
top-k grows with the devices; the two-phase route does not. Kernels of ResNet-20 are too small for a fiftieth at rank 2.
Deep gradient compression (arXiv:1712.01887) reports 93.18 % against 93.10 % for ResNet-110 on CIFAR-10 at 0.1 %, and
92.10 % for dropped gradients without its corrections.
"""

from ml_collections import ConfigDict

from configs.common import arguments

FIFTIETH = 2.0


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/compressed_gradients.py:smoke` has few steps and one seed."""
    choices = {"smoke": "digits, a small network, hardly any steps, one seed", "mlp": "LeNet-300-100"}
    words = arguments(text, choices)
    smoke = "smoke" in words
    config = ConfigDict()
    config.study = "exchanged"
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "lenet5", "settings": {}}
    config.measured = (
        ("LeNet-5", "lenet5", {}, (28, 28, 1)), ("ResNet-20", "stages", {"blocks": 3}, (32, 32, 3)),
    )  # fmt: skip
    config.seeds = (0, 1, 2)
    config.steps, config.batch, config.chunk = 1404, 128, 234
    config.learning_rate, config.momentum = 0.05, 0.9  # which falls as a cosine
    gathered, bytewise = {"share": 0.01}, {"share": 0.01, "dtype": "int8"}
    short = {**bytewise, "route": "two-phase"}
    kinds = (
        ("power 2", "power", {"rank": 2}), ("top-k", "top_k", gathered), ("int8 top-k", "top_k", bytewise),
        ("short top-k", "top_k", short),
    )  # fmt: skip
    config.methods = tuple(
        (f"{label}{', no feedback' * (feedback == 'none')}", (name, settings, feedback))
        for label, name, settings in kinds
        for feedback in ("error", "none")
    )
    if "mlp" in words:
        config.model, config.steps = {"name": "mlp", "settings": {"widths": (300, 100)}}, 7020
    if smoke:
        config.data = {"name": "digits", "path": ""}
        config.model = {"name": "mlp", "settings": {"widths": (16,)}}
        config.measured = (("LeNet-5", "mlp", {"widths": (16,)}, (8, 8, 1)),)
        config.seeds, config.steps, config.batch, config.chunk = (0,), 4, 16, 4
        config.methods = config.methods[:2] + config.methods[-1:]
    config.asked = (
        ("power 2", "dense", None, 0.5), ("top-k", "dense", None, 0.5, "-0.08 (DGC), +1.00 (dropping)"),
        ("int8 top-k", "dense", None, 0.5), ("short top-k", "dense", None, 0.5),
        ("short top-k, no feedback", "dense"),
        *((label, "", None, FIFTIETH, "", f"{network} %") for label in ("power 2", "int8 top-k", "short top-k")
          for network, *_ in config.measured),
    )  # fmt: skip
    return config
