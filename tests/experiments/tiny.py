"""A config small enough for tests, with every kind of stage."""

from ml_collections import ConfigDict


def get_config(text: str = "") -> ConfigDict:
    """A few dozen steps of a network with 32 hidden units on the digits."""
    config = ConfigDict()
    config.seed = 0
    config.skip = ()
    config.data = {"name": "digits", "path": ""}
    config.model = {"name": "mlp", "settings": {"widths": (32,)}}
    every = {"epochs": 3.0, "batch": 64, "chunk": 10, "save_every": 20}
    taught = {"soft": 0.5, **every}
    first = {"select": "Dense_0/kernel"}
    config.stages = (
        ("train", {"label": "teacher", **every}),
        ("prune.gradual", {"label": "prune", **first, "sparsity": 0.75, "end": 0.5, "every": 5, "train": taught}),
        ("factorize", {"select": ".*kernel", "budgets": (0.2, 0.4), "tolerance": 5.0}),
        ("quant.fake_quant", {"label": "qat", **first, "bits": 4, "granularity": "tensor", "train": {**taught}}),
        ("share.kmeans", {**first, "clusters": 6, "open": "Dense_0/kernel"}),
        ("train", {"label": "share", **taught}),
        ("distill", {**every, "soft": 0.9}),
        ("encode", {"rules": ((".*bias", ("quant.rtn", {"bits": 8, "granularity": "tensor"})),)}),
    )
    return config
