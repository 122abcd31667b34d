"""Bits for every leaf of a small convolutional network on Fashion-MNIST, three seeds, budgets of 2.3 to 5.1 bits.

    python -m experiments.reproduce --config=configs/bits_fashion_mnist.py --workdir=runs/bits

Losses of leaves are measured one by one, or expected from traces of the Hessian; an integer program chooses.
`front.png` shows test error against bits.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/bits_fashion_mnist.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "bits"
    if not smoke:
        config.model = {"name": "vgg", "settings": {"groups": ((8,), (16,), (32,)), "width": 64}}
        config.scan = False  # slow for convolutions on a CPU
        config.steps = 2340  # 5 epochs
    config.calibration = 64 if smoke else 2048
    config.probes = 2 if smoke else 16
    config.options = tuple((f"int{bits}", ("quant.gptq", {"bits": bits})) for bits in (2, 3, 4, 6, 8))
    config.budgets = (2.3, 2.6, 3.16, 4.16, 5.1)  # int2 takes 2.17 with its scales, int3 3.17
    config.asked = tuple(
        (f"{rule}, {bits:g} bits", f"int{int(bits)} everywhere", None, 0.0)
        for bits in (3.16, 4.16)
        for rule in ("measured", "Hessian")
    )
    return config
