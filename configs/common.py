"""Fields that all configs share, with their defaults."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


def shrink(config: ConfigDict, **limits: Any) -> ConfigDict:
    """The smoke variant of a config: the same stages with few steps.

    Args:
        config: the whole config.
        **limits: settings of every training.

    Returns:
        The config, changed in place.
    """
    for name, settings in config.stages:
        training = settings if name in ("train", "distill") else settings.get("train")
        if training is not None:
            training.update(limits)
    return config


def deep_compression(
    *,
    teacher: dict[str, Any],
    sparsity: Mapping[str, float],
    curve: dict[str, Any],
    prune: dict[str, Any],
    tune: dict[str, Any],
    distill: dict[str, Any],
    tolerance: float = 2.0,
) -> tuple[Any, ...]:
    """Stages after Han et al. (arXiv:1510.00149): pruning, factors, 5 bits, codebooks of 16, distillation.

    Labels determine the order of the data and the cache keys, so new labels change the figures.

    Args:
        teacher: training of the dense network.
        sparsity: of each kernel that is pruned.
        curve: of the sparsity, see `prune.gradual`.
        prune: training under the masks.
        tune: training through rounding, and of the tables.
        distill: training of what is left.
        tolerance: points of training accuracy that factors may cost.

    Returns:
        The stages.
    """
    masks = tuple((pattern, {"sparsity": zeros}) for pattern, zeros in sparsity.items())
    # Masked zeros do not enter codebooks; zeros of factors and other kernels do.
    tables = (*((pattern, {}) for pattern in sparsity), (".*kernel.*", {"ignore_zeros": False}))
    return (
        ("train", {"label": "teacher", **teacher}),
        ("prune.gradual", {"label": "prune", "rules": masks, **curve, "train": prune}),
        ("factorize", {"select": ".*kernel", "budgets": (0.05, 0.1), "tolerance": tolerance}),
        (
            "quant.fake_quant",
            {"label": "qat", "select": ".*kernel.*", "bits": 5, "granularity": "tensor", "train": {**tune}},
        ),
        ("share.kmeans", {"clusters": 16, "rules": tables, "open": ".*kernel.*"}),
        ("train", {"label": "share", **tune}),
        ("distill", distill),
        ("encode", {"rules": ((".*bias", ("quant.rtn", {"bits": 8, "granularity": "tensor", "key": "encode"})),)}),
    )


def arguments(text: str | None, choices: Mapping[str, str]) -> set[str]:
    """Words of a config's argument, `configs/mnist.py:lenet5,smoke`.

    Args:
        text: the text after the colon.
        choices: the allowed words, with their effects.

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
    """Settings of a study that trains LeNet-300-100 from scratch under several methods.

    Args:
        data: `"fashion_mnist"`, `"mnist"`, or `"digits"`, with few steps and one seed.
        config: to change; a new one when None.

    Returns:
        The config, without `methods`, `sparsities`, `asked` and the methods' own fields.
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


def distilled(words: set[str], config: ConfigDict | None = None) -> ConfigDict:
    """Data and training of a study in which a teacher teaches: five epochs of Adam for every network.

    Args:
        words: of `arguments`; `"smoke"` is the digits, hardly any steps and one seed, `"mnist"` another data set.
        config: to change; a new one when None.

    Returns:
        The config, without `study`, networks and `asked`.
    """
    config, smoke = ConfigDict() if config is None else config, "smoke" in words
    name = "digits" if smoke else "mnist" if "mnist" in words else "fashion_mnist"
    places = {"fashion_mnist": "/usr/share/datasets/fashion-mnist", "mnist": "package/data", "digits": ""}
    config.data = {"name": name, "path": places[name]}
    config.seeds = (0,) if smoke else (0, 1, 2)
    config.batch = 32 if smoke else 128
    config.steps = 40 if smoke else 2340
    config.chunk = 20 if smoke else 468
    config.scan = True
    config.learning_rate = 1e-3
    config.cosine = True
    return config
