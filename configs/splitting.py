"""One network in parts: SplitNet-like blocks (Kim et al., 2017) and early exits (BranchyNet, arXiv:1709.01686).

A network of four hidden layers on Fashion-MNIST, three seeds; operations are those of its products, percent of the
dense network's, for exits the mean over the test images.

    python -m experiments.reproduce --config=configs/splitting.py --workdir=runs/splitting

Target: learned blocks lose no more than blocks cut out of the trained network, both after the same recovery;
exits lose at most half a point.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/splitting.py:smoke` has few steps and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("fashion_mnist")
    if smoke:
        pruned("digits", config)
    config.study = "splitting"
    config.model.settings.widths = (256, 256, 256, 256)
    config.blocks = (2, 4)
    config.penalty = 0.3
    config.points = 0.5
    config.held_out = 5000
    config.recovery = {"steps": 2340, "batch": 128, "chunk": 468, "learning_rate": 1e-3, "cosine": True}
    if smoke:
        config.model.settings.widths, config.blocks, config.held_out = (16, 16, 16), (2,), 100
        config.recovery = {"steps": 20, "batch": 32, "chunk": 20, "learning_rate": 1e-3, "cosine": True}
    return config
