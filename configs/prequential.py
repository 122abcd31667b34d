"""Lengths of labels and layers: prequential codes (arXiv:1802.07044), probes (arXiv:2003.12298), rates of a layer.

    python -m experiments.reproduce --config=configs/prequential.py --workdir=runs/prequential

Labels of all training images are coded in blocks, each by a classifier that is trained on the blocks before, so no
model is paid for. Probes code the labels of the test images by a linear classifier of what a layer of LeNet-300-100
gives. Last, its first kernel is rounded to steps of its own deviation: entropy of the codes, error of the outputs on
the training images, and the bits that Gaussian weights with the same moments would need for this error. Targets: labels
at most 25 % of uniform ones, random labels about 1 times.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/prequential.py:smoke` is small."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("digits" if smoke else "fashion_mnist")
    config.study = "prequential"
    config.steps = 40 if smoke else 1404  # of the network that is probed, 3 epochs
    config.cell = 4
    config.coder = {"widths": (128,), "first": 64, "batch": 128, "epochs": 6.0, "learning_rate": 2e-3}
    config.rounding_steps = (2.0, 1.0, 0.5, 0.25)
    config.asked = (
        ("labels", "", None, 25.0, "", "% of uniform"),
        ("random labels", "", 0.98, 1.02, "", "compression"),
        ("probe of layer 2, random labels", "", 0.95, 1.05, "", "compression"),
    )
    if smoke:
        config.coder, config.rounding_steps = {**config.coder, "widths": (8,), "first": 150}, (1.0,)
        config.asked = ()
    return config
