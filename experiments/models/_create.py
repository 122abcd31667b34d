"""Networks by name."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from experiments.models._cnn import CNN, VGG, LeNet5
from experiments.models._depthwise import Depthwise
from experiments.models._mlp import MLP
from experiments.models._recommender import NeuMF
from experiments.models._recurrent import Recurrent
from experiments.models._resnet import ResNet, ThreeStages
from experiments.models._transformer import BERT, GPT, ViT

MODELS: dict[str, type[nn.Module]] = {
    "mlp": MLP, "lenet5": LeNet5, "cnn": CNN, "vgg": VGG, "resnet": ResNet, "stages": ThreeStages,
    "depthwise": Depthwise, "vit": ViT, "bert": BERT, "gpt": GPT, "recurrent": Recurrent, "neumf": NeuMF,
}  # fmt: skip


def create(name: str, settings: Mapping[str, Any]) -> nn.Module:
    """A network by name.

    Args:
        name: Key of `MODELS`.
        settings: Its attributes; lists become tuples.

    Returns:
        The module.

    Raises:
        ValueError: If the name or an attribute is unknown.
    """
    if name not in MODELS:
        raise ValueError(f"--config.model.name={name!r} is not a network here; choose one of {', '.join(MODELS)}")
    try:
        return MODELS[name](**{key: _fixed(value) for key, value in settings.items()})
    except TypeError as error:
        raise ValueError(
            f"--config.model.settings={dict(settings)} does not fit {name!r}, which takes "
            f"{', '.join(_fields(MODELS[name]))}"
        ) from error


def describe(model: nn.Module) -> dict[str, Any]:
    """Name and settings from which `create` builds a network, as JSON values.

    Example:
        >>> describe(create("cnn", {"filters": [4], "width": 8}))
        {'name': 'cnn', 'settings': {'filters': [4], 'width': 8, 'classes': 10}}
    """
    name = next(key for key, kind in MODELS.items() if kind is type(model))
    return {"name": name, "settings": {field: _plain(getattr(model, field)) for field in _fields(type(model))}}


def _fixed(value: Any) -> Any:
    return tuple(map(_fixed, value)) if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def _fields(kind: type[nn.Module]) -> list[str]:
    return [field for field in kind.__dataclass_fields__ if field not in ("parent", "name")]
