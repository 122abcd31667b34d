"""The networks of the experiments, in Flax Linen; inputs are standardized images `[batch, height, width, 1]`."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax

from experiments.resnet import ResNet


class MLP(nn.Module):
    """Dense layers with ReLU between them; `(300, 100)` is LeNet-300-100 (LeCun et al., 1998).

    Attributes:
        widths: hidden widths.
        classes: outputs.
    """

    widths: Sequence[int] = (300, 100)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)


class LeNet5(nn.Module):
    """LeNet-5 as compression papers use it (the Caffe variant): 20 and 50 filters of 5 x 5, then 500 units.

    Attributes:
        classes: outputs.
    """

    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        for filters in (20, 50):
            x = nn.Conv(filters, (5, 5), padding="VALID", kernel_init=nn.initializers.he_normal())(x)
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(500, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)


class CNN(nn.Module):
    """3 x 3 convolutions with ReLU and 2 x 2 max-pooling, then one wide dense layer.

    Attributes:
        filters: of each convolution; pooling follows every one but the first.
        width: of the dense layer.
        classes: outputs.
    """

    filters: Sequence[int] = (32, 64)
    width: int = 256
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        for i, filters in enumerate(self.filters):
            x = nn.relu(nn.Conv(filters, (3, 3), kernel_init=nn.initializers.he_normal())(x))
            if i:
                x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)


MODELS: dict[str, type[nn.Module]] = {"mlp": MLP, "lenet5": LeNet5, "cnn": CNN, "resnet": ResNet}


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
        return MODELS[name](**{key: tuple(v) if isinstance(v, (list, tuple)) else v for key, v in settings.items()})
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
    settings = {field: getattr(model, field) for field in _fields(type(model))}
    return {"name": name, "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}}


def _fields(kind: type[nn.Module]) -> list[str]:
    return [field for field in kind.__dataclass_fields__ if field not in ("parent", "name")]
