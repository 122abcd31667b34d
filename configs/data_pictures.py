"""Pictures of what reducers learn from the digits, in seconds.

    python -m experiments.pictures --config=configs/data_pictures.py --workdir=runs/pictures
    python -m experiments.pictures --config=configs/data_pictures.py:fashion_mnist --workdir=runs/pictures_fashion

Scree plot with the chosen rank, components, selected pixels, rows on two components, lasso path of one class against
all others, dictionary atoms, parts of NMF.
"""

from ml_collections import ConfigDict

from configs.common import arguments


def get_config(text: str = "") -> ConfigDict:
    """The pictures; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "few rows and parts", "fashion_mnist": "Fashion-MNIST, 10,000 rows"})
    smoke, clothes = "smoke" in words, "fashion_mnist" in words
    config = ConfigDict()
    config.data = {"name": "digits", "path": ""}
    if clothes:
        config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.seed = 0
    config.rows = 200 if smoke else 10_000
    config.scree = 20 if smoke else 40
    config.energy = 0.9
    config.parts = 4 if smoke else 16
    config.pixels = 8 if smoke else 64 if clothes else 16
    config.penalties = 5 if smoke else 50
    config.penalty = 0.2
    return config
