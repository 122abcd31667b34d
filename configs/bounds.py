"""Bounds on the error of a small classifier on new images, from the length of a file (Lotfi, arXiv:2211.13609).

    python -m experiments.reproduce --config=configs/bounds.py --workdir=runs/bounds
    python -m experiments.reproduce --config=configs/bounds.py:mnist --workdir=runs/bounds_mnist
    python -m experiments.reproduce --config=configs/bounds.py:dimension --workdir=runs/dimension

Images become histograms of edges first, with nothing learned. A linear classifier of them moves along `d` random
directions from its random start; the coordinates are rounded to a learned codebook. A cell writes an artifact
and a message, which has no names and no checksums; both are read and certified on all training images, with
confidence 95 %, and pay for `tried` settings, more than were compared. The artifact is certified with its checksums and
without: they follow from the rest. MNIST is read from `package/data`, or
from --config.data.path. Targets: at most 25 % for Fashion-MNIST (published 32.8 %), at most 9 % for MNIST (11.6 %).
With --config.cell=0 the network sees pixels, from a start and directions that are smooth images of width `blur`.
`:dimension` trains without rounding over many `d` (Li et al., arXiv:1804.08838).
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
    config.model = {"name": "mlp", "settings": {"widths": ()}}
    config.seeds = (0,) if smoke else (0, 1, 2)
    config.projection = "kronecker"
    config.cell, config.blur = 4, 0.0
    config.scales = {"Dense_0": 1.0}
    config.charge = 0.1
    config.batch = 32 if smoke else 256
    config.epochs, config.learning_rate = 0.2 if smoke else 20.0, 2e-2
    config.rounding_epochs, config.rounding_rate = 0.2 if smoke else 20.0, 2e-2
    config.tried = 1024
    config.cells = ((1500 if mnist else 1000, 3),)
    config.sweep = ()
    most = 9.0 if mnist else 25.0
    config.asked = tuple(
        (f"d {config.cells[0][0]}, 3 levels", "", None, most, "", f"bound of the {word}, %")
        for word in ("message", "file", "file without checksums")
    )
    if smoke:
        config.cells, config.asked = ((40, 3),), ()
    if "dimension" in words:
        config.cells, config.asked = (), ()
        config.sweep = (20, 40) if smoke else (50, 100, 200, 400, 800, 1600)
        config.seeds = (0,)
    return config
