"""Federated averaging on Fashion-MNIST, split over 50 clients by Dirichlet draws of 0.1 (arXiv:1602.05629).

    python -m experiments.reproduce --config=configs/federated.py --workdir=runs/federated

A network 784-64-10; ten clients a round, ten local steps of SGD each; three seeds, each with a split of its own. The
error is the mean over the last evaluations, because at 0.1 it swings from round to round. Targets: federated averaging
with 8-bit messages, and with 8-bit top-k messages of at most a tenth of the bytes, loses at most half a point. FedProx,
SCAFFOLD and FedAdam stand beside it, without targets. Expected: about half a minute of one core a cell.
"""

from ml_collections import ConfigDict

from configs.common import arguments

EIGHT = ("rounded", {"dtype": "int8"})


def get_config(text: str = "") -> ConfigDict:
    """The study; `configs/federated.py:smoke` has few rounds and one seed."""
    smoke = "smoke" in arguments(text, {"smoke": "digits, hardly any rounds, one seed"})
    config = ConfigDict()
    config.study = "federated"
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "mlp", "settings": {"widths": (64,)}}
    config.seeds = (0, 1, 2)
    config.clients, config.chosen, config.alpha, config.least = 50, 10, 0.1, 32
    config.rounds, config.steps, config.batch = 160, 10, 32
    config.every, config.tail = 5, 6
    average = ("fed_avg", {"local": 0.1})
    short = {"up": ("top_k", {"share": 0.1, "dtype": "int8"}), "down": ("top_k", {"share": 0.42, "dtype": "int8"})}
    config.methods = (
        ("dense", {"algorithm": average}),
        ("int8", {"algorithm": average, "up": EIGHT, "down": EIGHT}),
        ("integer sum", {"algorithm": average, "up": ("integer_sum", {"bits": 8}), "down": EIGHT}),
        ("top-k int8", {"algorithm": average, **short}),
        ("fed_prox", {"algorithm": ("fed_prox", {"local": 0.1, "proximal": 0.1})}),
        ("scaffold", {"algorithm": ("scaffold", {"rate": 0.1})}),
        ("fed_adam", {"algorithm": ("fed_adam", {"local": 0.1, "rate": 0.01})}),
    )
    config.asked = (
        ("int8", "dense", None, 0.5), ("integer sum", "dense", None, 0.5), ("top-k int8", "dense", None, 0.5),
        ("top-k int8", "", None, 10.0, "", "bytes, %"),
    )  # fmt: skip
    if smoke:
        config.data = {"name": "digits", "path": ""}
        config.model.settings.widths = (16,)
        config.seeds, config.clients, config.chosen, config.least = (0,), 6, 3, 1
        config.rounds, config.steps, config.batch, config.every, config.tail = 2, 2, 8, 1, 1
        config.methods = tuple(row for row in config.methods if row[0] in ("dense", "integer sum", "top-k int8"))
    return config
