"""A network of depthwise separable convolutions."""

from collections.abc import Sequence

import flax.linen as nn
import jax


class Depthwise(nn.Module):
    """A 3 x 3 convolution, then pairs of a depthwise 3 x 3 and a 1 x 1 convolution, all with BatchNorm and ReLU.

    The blocks are those of MobileNets (Howard et al., arXiv:1704.04861).

    Attributes:
        stem: Filters of the first convolution.
        widths: Output channels of each block.
        strides: Stride of each block.
        classes: Outputs.
    """

    stem: int = 32
    widths: Sequence[int] = (64, 128, 128, 256)
    strides: Sequence[int] = (1, 2, 1, 2)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[batch, classes]` of images `[batch, height, width, channels]`."""

        def normed(x: jax.Array) -> jax.Array:
            return nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))

        x = normed(nn.Conv(self.stem, (3, 3), use_bias=False)(x))
        for width, stride in zip(self.widths, self.strides, strict=True):
            channels = x.shape[-1]
            x = normed(nn.Conv(channels, (3, 3), stride, feature_group_count=channels, use_bias=False)(x))
            x = normed(nn.Conv(width, (1, 1), use_bias=False)(x))
        return nn.Dense(self.classes)(x.mean((1, 2)))
