"""Fields that all configs share, with their defaults."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


def training(**own: Any) -> dict[str, Any]:
    """Settings of a stage that trains.

    Args:
        **own: fields that differ from the defaults, and those that only this stage has.

    Returns:
        All fields.
    """
    fields = {
        "epochs": 10.0,  # rounded up to whole chunks
        "batch": 128,
        "learning_rate": 1e-3,  # of Adam; falls along a cosine
        "end_rate": 0.0,  # fraction of the rate that is left at the end
        "weight_decay": 0.0,  # decoupled
        "chunk": 234,  # steps per compiled call
        "save_every": 2340,  # steps between checkpoints inside the stage
        "scan": True,  # False for networks with convolutions on a CPU
        "temperature": 4.0,  # of the distillation loss
        "mixup": 0.0,  # largest weight of another image blended into each; 0 blends nothing
        "soft": 0.0,  # weight of the teacher's part of the loss; 0 trains on labels alone
    }
    return {**fields, **own}


def shrink(config: ConfigDict, **limits: Any) -> ConfigDict:
    """The smoke variant of a config: the same stages, hardly any steps.

    Args:
        config: the whole config.
        **limits: settings of every training stage.

    Returns:
        The config, changed in place.
    """
    for name, stage in config.items():
        if isinstance(stage, ConfigDict) and "epochs" in stage:
            for key, value in limits.items():
                config[name][key] = value
    return config


def arguments(text: str | None, choices: Mapping[str, str]) -> set[str]:
    """Words of a config's argument, `configs/mnist.py:lenet5,smoke`.

    Args:
        text: what stands after the colon.
        choices: the words that exist, with what they do.

    Returns:
        The words.

    Raises:
        ValueError: when a word does not exist.
    """
    words = {word for word in (text or "").split(",") if word}
    unknown = words - set(choices)
    if unknown:
        raise ValueError(
            f"config argument {sorted(unknown)} does not exist; there are "
            + ", ".join(f"{name} ({what})" for name, what in choices.items())
        )
    return words


def pruned(data: str, config: ConfigDict | None = None) -> ConfigDict:
    """Settings of a study that trains LeNet-300-100 from scratch under one method after another.

    Args:
        data: `"fashion_mnist"`, `"mnist"`, or `"digits"`, which trains hardly any steps with one seed.
        config: to change; a new one when None.

    Returns:
        The config, without `methods`, `sparsities`, `asked` and what the methods read.
    """
    config = ConfigDict() if config is None else config
    small = data == "digits"
    places = {"fashion_mnist": "/usr/share/datasets/fashion-mnist", "mnist": "package/data", "digits": ""}
    config.study = "pruned"
    config.data = {"name": data, "path": places[data]}
    config.model = {"name": "mlp", "settings": {"widths": (300, 100)}}
    config.seeds = (0,) if small else (0, 1, 2)
    config.batch = 32 if small else 128
    config.steps = 40 if small else 7020  # 15 epochs
    config.chunk = 20 if small else 468
    config.scan = True
    config.learning_rate = 1e-3
    config.cosine = True
    config.units = False
    return config
