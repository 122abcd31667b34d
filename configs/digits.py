"""The digits of scikit-learn."""

from ml_collections import ConfigDict

from configs.common import arguments, shrink, training


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `configs/digits.py:smoke` does hardly any steps."""
    words = arguments(text, {"smoke": "hardly any steps"})
    config = ConfigDict()
    config.seed = 0
    config.data = {"name": "digits", "path": ""}
    config.model = {"name": "cnn", "settings": {"filters": (32, 64), "width": 256}}
    every = {"batch": 64, "chunk": 19, "save_every": 190, "scan": False}
    config.teacher = training(epochs=40.0, weight_decay=0.1, **every)
    config.prune = training(
        epochs=40.0,
        soft=0.5,
        sparsity=(("Conv_1/kernel", 0.8), ("Dense_0/kernel", 0.97)),
        until=0.6,
        mask_every=10,
        **every,
    )
    config.factorise = {"select": ".*kernel", "energy": 0.98, "bits": 5.0}
    config.qat = training(epochs=10.0, soft=0.5, learning_rate=3e-4, rules=((".*kernel", 4, "tensor"),), **every)
    config.share = training(epochs=4.0, soft=0.5, learning_rate=3e-4, rules=((".*kernel", 16),), init="linear", **every)
    config.distil = training(epochs=10.0, soft=0.9, learning_rate=1e-3, **every)
    config.encode = {"rules": ((".*bias", 8, None),)}
    return shrink(config, epochs=1.0) if "smoke" in words else config
