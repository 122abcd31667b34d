"""Plain convolutional networks."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from experiments.models._pool import halve


class LeNet5(nn.Module):
    """LeNet-5 as compression papers use it (the Caffe variant): 20 and 50 filters of 5 x 5, then 500 units.

    Attributes:
        filters: of both convolutions.
        width: of the dense layer.
        classes: outputs.
    """

    filters: Sequence[int] = (20, 50)
    width: int = 500
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        for filters in self.filters:
            x = nn.Conv(filters, (5, 5), padding="VALID", kernel_init=nn.initializers.he_normal())(x)
            x = halve(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x))
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
                x = halve(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)


class VGG(nn.Module):
    """Groups of 3 x 3 convolutions with ReLU, a 2 x 2 max-pooling after each, then one dense layer (arXiv:1409.1556).

    Attributes:
        groups: Filters of the convolutions of each group.
        width: Of the dense layer.
        classes: Outputs.
    """

    groups: Sequence[Sequence[int]] = ((64, 64), (128, 128))
    width: int = 256
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        for group in self.groups:
            for filters in group:
                x = nn.relu(nn.Conv(filters, (3, 3), kernel_init=nn.initializers.he_normal())(x))
            x = halve(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.classes)(x)
