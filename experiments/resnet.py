"""A small residual network with BatchNorm; all widths are fields, so that `structure.shrink` can change them."""

from collections.abc import Sequence

import flax.linen as nn
import jax


class Block(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm and a skip connection.

    Attributes:
        width: Output channels.
        inner: Channels between the convolutions.
        stride: Stride of the first convolution.
    """

    width: int
    inner: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Features `[batch, height, width, channels]`."""
        y = nn.Conv(self.inner, (3, 3), strides=self.stride, use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(y))
        y = nn.Conv(self.width, (3, 3), use_bias=False)(y)
        y = nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)
        if self.stride != 1 or x.shape[-1] != self.width:
            x = nn.Conv(self.width, (1, 1), strides=self.stride, use_bias=False)(x)
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A convolution, residual blocks (all but the first halve the sides), and a dense layer on the mean.

    Attributes:
        widths: Output channels of each block; the first is also that of the first convolution.
        inner: Channels within each block.
        classes: Outputs.
    """

    widths: Sequence[int] = (32, 64, 128)
    inner: Sequence[int] = (32, 64, 128)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[batch, classes]` of standardized images `[batch, height, width, 1]`."""
        x = nn.Conv(self.widths[0], (3, 3), strides=2, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        for i, (width, inner) in enumerate(zip(self.widths, self.inner, strict=True)):
            x = Block(width, inner, 2 if i else 1)(x, train)
        return nn.Dense(self.classes)(x.mean((1, 2)))
