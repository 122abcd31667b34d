"""Fashion-MNIST."""

from ml_collections import ConfigDict

from configs.common import arguments, shrink, training


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `text` holds words of `arguments`, separated by commas."""
    words = arguments(text, {"smoke": "hardly any steps", "cnn": "a convolutional network, not LeNet-300-100"})
    config = ConfigDict()
    config.seed = 0
    config.data = {"name": "fashion_mnist", "path": "/usr/share/datasets/fashion-mnist"}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.teacher = training(epochs=15.0, weight_decay=0.1)
    sparsity = (("Dense_0/kernel", 0.94), ("Dense_1/kernel", 0.93), ("Dense_2/kernel", 0.7))
    config.prune = training(epochs=15.0, soft=0.5, sparsity=sparsity, until=0.6, mask_every=100)
    config.factorise = {"select": ".*kernel", "budgets": (0.2, 0.4), "tolerance": 5.0, "margin": 0.75, "bits": 4.0}
    config.qat = training(epochs=4.0, soft=0.5, learning_rate=3e-4, rules=((".*kernel.*", 5, "tensor"),))
    config.share = training(epochs=4.0, soft=0.5, learning_rate=3e-4, rules=((".*kernel.*", 16),), init="linear")
    config.distil = training(epochs=4.0, soft=0.9, learning_rate=1e-3)
    config.encode = {"rules": ((".*bias", 8, None),)}
    return shrink(config, epochs=0.1, chunk=10) if "smoke" in words else config
