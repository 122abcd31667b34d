"""The dense and the convolutional network in Flax NNX."""

from collections.abc import Sequence

import jax
from flax import nnx

from experiments.models._pool import halve


class MLP(nnx.Module):
    """Dense layers with ReLU between them, as `models.MLP`.

    Args:
        inputs: Pixels of an image.
        widths: Hidden widths.
        classes: Outputs.
        rngs: Of the initial weights.
    """

    def __init__(self, inputs: int, widths: Sequence[int] = (300, 100), classes: int = 10, *, rngs: nnx.Rngs) -> None:
        sizes = [inputs, *widths]
        self.hidden = nnx.List(
            [nnx.Linear(a, b, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
             for a, b in zip(sizes, widths, strict=False)]
        )  # fmt: skip
        self.head = nnx.Linear(sizes[-1], classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        x = x.reshape(x.shape[0], -1)
        for layer in self.hidden:
            x = nnx.relu(layer(x))
        return self.head(x)


class CNN(nnx.Module):
    """3 x 3 convolutions with ReLU, pooling after every one but the first, then a dense layer, as `models.CNN`.

    Args:
        image: Height, width and channels.
        filters: Of each convolution.
        width: Of the dense layer.
        classes: Outputs.
        rngs: Of the initial weights.
    """

    def __init__(
        self, image: Sequence[int], filters: Sequence[int] = (32, 64), width: int = 256, classes: int = 10, *,
        rngs: nnx.Rngs,
    ) -> None:  # fmt: skip
        height, side, channels = image
        init = nnx.initializers.he_normal()
        self.convolutions = nnx.List(
            [nnx.Conv(a, b, (3, 3), kernel_init=init, rngs=rngs)
             for a, b in zip((channels, *filters), filters, strict=False)]
        )  # fmt: skip
        halvings = 2 ** (len(filters) - 1)
        self.hidden = nnx.Linear(
            (height // halvings) * (side // halvings) * filters[-1], width, kernel_init=init, rngs=rngs
        )
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits `[batch, classes]`."""
        for i, layer in enumerate(self.convolutions):
            x = nnx.relu(layer(x))
            if i:
                x = halve(x)
        return self.head(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))
