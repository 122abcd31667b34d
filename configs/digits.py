"""The digits of scikit-learn."""

from ml_collections import ConfigDict

from configs.common import arguments, shrink, training


def get_config(text: str = "") -> ConfigDict:
    """Settings of the run; `configs/digits.py:smoke` does hardly any steps."""
    words = arguments(text, {"smoke": "hardly any steps"})
    config = ConfigDict()
    config.seed = 0
    config.data = {"name": "digits", "path": ""}
    config.model = {"name": "mlp", "settings": {"widths": (512, 512)}}
    config.teacher = training(epochs=60.0, batch=64, chunk=19, save_every=190, weight_decay=0.1)
    return shrink(config, epochs=1.0) if "smoke" in words else config
