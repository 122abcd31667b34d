"""A config small enough for tests, with every stage."""

from ml_collections import ConfigDict

from configs.common import training


def get_config(text: str = "") -> ConfigDict:
    """A few dozen steps of a network with 32 hidden units on the digits."""
    config = ConfigDict()
    config.seed = 0
    config.skip = ()
    config.data = {"name": "digits", "path": ""}
    config.model = {"name": "mlp", "settings": {"widths": (32,)}}
    every = {"epochs": 3.0, "batch": 64, "chunk": 10, "save_every": 20}
    config.teacher = training(**every)
    config.prune = training(soft=0.5, sparsity=(("Dense_0/kernel", 0.75),), until=0.5, mask_every=5, **every)
    config.factorize = {"select": ".*kernel", "budgets": (0.2, 0.4), "tolerance": 5.0, "margin": 0.75, "bits": 4.0}
    config.qat = training(soft=0.5, rules=((".*Dense_0/kernel", 4, "tensor"),), **every)
    config.share = training(soft=0.5, rules=((".*Dense_0/kernel", 6),), init="linear", **every)
    config.distill = training(soft=0.9, **every)
    config.encode = {"rules": ((".*bias", 8, None),)}
    return config
