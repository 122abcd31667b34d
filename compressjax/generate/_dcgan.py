"""Convolutional generators and discriminators for images of 28 and 32 pixels."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def conditions(labels: jax.Array | None, classes: int, who: str) -> jax.Array | None:
    """Labels as one-hot rows; refuses labels where there are no classes, and the reverse."""
    if (labels is None) == (classes > 0):
        raise ValueError(f"{who}: classes={classes} and {'no ' if labels is None else ''}labels; a conditional network "
                         "(classes above 0) takes a label a sample, another one takes none")  # fmt: skip
    return None if labels is None else jax.nn.one_hot(labels, classes)


class DCGANGenerator(nn.Module):
    """Images from noise: a dense layer, and two transposed convolutions that double the sides, with BatchNorm.

    Attributes:
        size: Side of the images, 28 or 32, or any multiple of 4.
        channels: Of the images.
        width: Channels before the last layer; twice as many before that.
        classes: Of a conditional generator, which reads a label; 0 for none.

    Example:
        >>> model = DCGANGenerator(width=8)
        >>> variables = model.init(jax.random.key(0), jnp.ones((2, 16)))
        >>> model.apply(variables, jnp.ones((2, 16))).shape
        (2, 28, 28, 1)

    Source: Radford et al., arXiv:1511.06434 (radford2015); labels: Mirza and Osindero, arXiv:1411.1784 (mirza2014).
    """

    size: int = 28
    channels: int = 1
    width: int = 64
    classes: int = 0

    @nn.compact
    def __call__(self, noise: jax.Array, labels: jax.Array | None = None, train: bool = False) -> jax.Array:
        """Images `[batch, size, size, channels]` in (-1, 1) of noise `[batch, latent]` and labels `[batch]`.

        Raises:
            ValueError: If the size is no multiple of 4, or labels and classes do not fit.
        """
        if self.size % 4:
            raise ValueError(f"DCGANGenerator: size={self.size} must be a multiple of 4: two layers double the sides")
        given = conditions(labels, self.classes, "DCGANGenerator")
        x = noise if given is None else jnp.concatenate([noise, given.astype(noise.dtype)], -1)
        side = self.size // 4
        x = nn.Dense(side * side * 2 * self.width, use_bias=False, name="start")(x)
        x = x.reshape(-1, side, side, 2 * self.width)
        for i, width in enumerate((self.width, self.channels)):
            x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9, name=f"norm_{i}")(x))
            x = nn.ConvTranspose(width, (4, 4), (2, 2), use_bias=i == 1, name=f"grow_{i}")(x)
        return jnp.tanh(x)


class DCGANDiscriminator(nn.Module):
    """Logits of images: two convolutions that halve the sides and one that does not, without norms, then a sum.

    Divide its kernels by `spectral_norm`. With classes, the logit gains the product of the features with a vector of
    the label (a projection discriminator).

    Attributes:
        width: Channels of the first convolution; twice and four times as many after the others.
        classes: Of a conditional discriminator; 0 for none.

    Example:
        >>> model = DCGANDiscriminator(width=8)
        >>> variables = model.init(jax.random.key(0), jnp.ones((2, 28, 28, 1)))
        >>> model.apply(variables, jnp.ones((2, 28, 28, 1))).shape
        (2,)

    Source: Radford et al., arXiv:1511.06434 (radford2015); projection: Miyato and Koyama, arXiv:1802.05637
    (miyato2018projection).
    """

    width: int = 64
    classes: int = 0

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """Logits `[batch]` of images `[batch, height, width, channels]` in (-1, 1) and labels `[batch]`.

        Raises:
            ValueError: If labels and classes do not fit.
        """
        given = conditions(labels, self.classes, "DCGANDiscriminator")
        x = images
        for i, (factor, side, stride) in enumerate(((1, 4, 2), (2, 4, 2), (4, 3, 1))):
            x = nn.Conv(factor * self.width, (side, side), stride, name=f"shrink_{i}")(x)
            x = nn.leaky_relu(x, 0.2)
        features = x.mean((1, 2))
        logits = nn.Dense(1, name="head")(features)[:, 0]
        if given is not None:
            logits += jnp.sum(nn.Dense(features.shape[-1], use_bias=False, name="labels")(given) * features, -1)
        return logits
