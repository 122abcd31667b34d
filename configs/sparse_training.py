"""RigL (Evci et al., arXiv:1911.11134) and SET (Mocanu et al., arXiv:1707.04780) against static masks.

LeNet-300-100 on Fashion-MNIST with 98 % zeros under ERK from the first step on, three seeds, SGD with momentum as in
the code of RigL's authors for MNIST (which trains 200 epochs, here 15).

    python -m experiments.reproduce --config=configs/sparse_training.py --workdir=runs/sparse_training

Target: RigL at least 0.3 points below SET, SET at least 0.3 points below static masks: the order of the papers.
"""

from ml_collections import ConfigDict

from configs.common import arguments, pruned


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/sparse_training.py:smoke` has few steps and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any steps, one seed"})
    config = pruned("fashion_mnist")
    config.sparsities = (0.98,)
    config.learning_rate, config.momentum, config.weight_decay = 0.1, 0.9, 1e-4
    if smoke:
        pruned("digits", config)
    masks = {"key": "masks", "distribution": "erk"}
    exchange = {**masks, "every": 5 if smoke else 100, "end": 0.75, "fraction": 0.3}
    curve = {"begin": 0.05, "end": 0.6, "every": 2 if smoke else 50, "distribution": "erk"}
    config.methods = (
        ("static", ("prune.static", masks)),
        ("set", ("prune.set_", exchange)),
        ("rigl", ("prune.rigl", exchange)),
        ("gradual", ("prune.gradual", curve)),
    )
    config.asked = (("rigl 0.98", "set 0.98", None, -0.3), ("set 0.98", "static 0.98", None, -0.3))
    return config
