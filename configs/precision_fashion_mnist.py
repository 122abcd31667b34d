"""Training in bfloat16, float16, fp8, and with 8-bit moments, against float32: LeNet-300-100, three seeds.

    python -m experiments.reproduce --config=configs/precision_fashion_mnist.py --workdir=runs/precision

Five epochs on Fashion-MNIST each. Targets: bfloat16 and float16 products, and 8-bit moments at a quarter of the bytes,
within 0.2 points of float32; all forced overflows skipped and counted. Also prints the time of a step.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/precision_fashion_mnist.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "precision"
    if not smoke:
        config.steps = 2340  # 5 epochs
    config.overflow_every = 10 if smoke else 100
    config.lost = 0.2
    config.beside = ("fp8, delayed scales", "bfloat16 parameters, by chance", "bfloat16 parameters, nearest")
    return config
