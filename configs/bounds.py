"""Bounds on the error of LeNet-300-100 on new images, from the length of a file (Lotfi et al., arXiv:2211.13609).

    python -m experiments.reproduce --config=configs/bounds.py --workdir=runs/bounds
    python -m experiments.reproduce --config=configs/bounds.py:mnist --workdir=runs/bounds_mnist
    python -m experiments.reproduce --config=configs/bounds.py:dimension --workdir=runs/dimension

The network moves along `d` random directions from its random start; the coordinates are rounded to a learned codebook.
Start and directions are smooth images at the inputs, which no training image was asked about. A cell writes an artifact
and a message, which has no names and no checksums; both are read and certified on all training images, with
confidence 95 %, and pay for `tried` settings. MNIST is read from `package/data`, or from --config.data.path. Targets:
at most 25 % for Fashion-MNIST (published 32.8 %), at most 9 % for MNIST (11.6 %). `:dimension` trains without rounding
over many `d` (Li et al., arXiv:1804.08838).
"""

from ml_collections import ConfigDict

from configs.common import arguments

WORDS = {
    "smoke": "the digits, hardly any steps, one seed",
    "mnist": "MNIST, not Fashion-MNIST",
    "dimension": "no files: training error over the dimension",
}


def get_config(text: str = "") -> ConfigDict:
    """The study; `text` holds words of `WORDS`, separated by commas."""
    words = arguments(text, WORDS)
    smoke, mnist = "smoke" in words, "mnist" in words
    config = ConfigDict()
    config.study = "bounds"
    name = "digits" if smoke else "mnist" if mnist else "fashion_mnist"
    places = {"fashion_mnist": "/usr/share/datasets/fashion-mnist", "mnist": "package/data", "digits": ""}
    config.data = {"name": name, "path": places[name]}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.seeds = (0,) if smoke else (0, 1, 2)
    config.projection = "kronecker"
    config.blur = 1.5
    config.scales = {"Dense_0": 1.0, "Dense_1": 1.0, "Dense_2": 1.0}
    config.charge = 0.1
    config.batch = 32 if smoke else 256
    config.epochs, config.learning_rate = 0.2 if smoke else 20.0, 2e-2
    config.rounding_epochs, config.rounding_rate = 0.2 if smoke else 20.0, 1e-2
    config.tried = 128
    config.cells = ((2000, 3),)
    config.sweep = ()
    most = 9.0 if mnist else 25.0
    config.asked = tuple(
        ("d 2000, 3 levels", "", None, most, "", f"bound of the {word}, %") for word in ("message", "file")
    )
    if smoke:
        config.cells, config.asked = ((40, 3),), ()
    if "dimension" in words:
        config.cells, config.asked = (), ()
        config.sweep = (20, 40) if smoke else (50, 100, 200, 400, 800, 1600)
        config.seeds = (0,)
    return config
