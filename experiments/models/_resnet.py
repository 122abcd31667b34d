"""Residual networks with BatchNorm."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


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

    All widths are fields, so that `structure.shrink` can change them.

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


class ThreeStages(nn.Module):
    """The residual networks for small images of He et al. (arXiv:1512.03385): 6 `blocks` + 2 layers in three stages.

    Shortcuts have no parameters: every other pixel, and zeros for the channels that are new.

    Attributes:
        blocks: Residual blocks of each stage; 3 is ResNet-20, 9 is ResNet-56.
        widths: Channels of the stages.
        classes: Outputs.
    """

    blocks: int = 3
    widths: Sequence[int] = (16, 32, 64)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[batch, classes]` of images `[batch, height, width, channels]`."""

        def conv(x: jax.Array, width: int, stride: int = 1) -> jax.Array:
            y = nn.Conv(width, (3, 3), stride, use_bias=False, kernel_init=nn.initializers.he_normal())(x)
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)

        x = nn.relu(conv(x, self.widths[0]))
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                y = conv(nn.relu(conv(x, width, stride)), width)
                new = width - x.shape[-1]
                x = nn.relu(y + jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2))))
        return nn.Dense(self.classes)(x.mean((1, 2)))
