"""A variational autoencoder for small images."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from compressjax.core._settings import as_scalar
from compressjax.generate._dcgan import conditions


class VAE(nn.Module):
    """Codes of images as Gaussians, and images from codes; pixels are Bernoulli variables with given means.

    Attributes:
        shape: Height, width and channels of the images.
        latent: Numbers of a code.
        width: Hidden units.
        classes: Of a conditional autoencoder, whose decoder reads a label; 0 for none.

    Example:
        >>> model = VAE((4, 4, 1), latent=3, width=8)
        >>> images = jnp.zeros((2, 4, 4, 1))
        >>> variables = model.init(jax.random.key(0), images, jax.random.key(1))
        >>> logits, mean, log_variance = model.apply(variables, images, jax.random.key(1))
        >>> logits.shape, mean.shape
        ((2, 4, 4, 1), (2, 3))

    Source: Kingma and Welling, arXiv:1312.6114 (kingma2013).
    """

    shape: tuple[int, int, int]
    latent: int = 32
    width: int = 400
    classes: int = 0

    def setup(self) -> None:
        """Layers of the encoder and the decoder."""
        height, width, channels = self.shape
        self.read = nn.Dense(self.width)
        self.moments = nn.Dense(2 * self.latent)
        self.write = nn.Dense(self.width)
        self.pixels = nn.Dense(height * width * channels)

    def encode(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Means and log variances `[batch, latent]` of the codes of images in [0, 1]."""
        hidden = nn.relu(self.read(images.reshape(len(images), -1)))
        mean, log_variance = jnp.split(self.moments(hidden), 2, axis=-1)
        return mean, log_variance

    def decode(self, codes: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """Logits of pixels `[batch, *shape]` of codes `[batch, latent]`; their sigmoid is an image in [0, 1]."""
        given = conditions(labels, self.classes, "VAE")
        joined = codes if given is None else jnp.concatenate([codes, given], -1)
        return self.pixels(nn.relu(self.write(joined))).reshape(-1, *self.shape)

    def __call__(
        self, images: jax.Array, key: jax.Array, labels: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Logits of the pixels after a pass through a random code, and means and log variances of the codes."""
        mean, log_variance = self.encode(images)
        code = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
        return self.decode(code, labels), mean, log_variance


def vae_loss(
    logits: jax.Array, images: jax.Array, mean: jax.Array, log_variance: jax.Array, *, beta: Any = 1.0
) -> jax.Array:
    """Returns the negative evidence lower bound of images under a `VAE`, in nats an image.

    .. math:: -E_{q(z|x)}[\\log p(x|z)] + \\beta\\, KL(q(z|x) \\| N(0, I)), \\quad
        KL = \\tfrac12 \\sum_j (\\mu_j^2 + \\sigma_j^2 - \\log \\sigma_j^2 - 1)

    Args:
        logits: `[batch, ...]`, of the pixels.
        images: Of the same shape, in [0, 1].
        mean: `[batch, latent]`.
        log_variance: Of the same shape.
        beta: Weight of the divergence, at least 0; 1 gives the bound. May be traced, for a schedule.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If shapes differ or `beta` is negative.

    Example:
        >>> zero = jnp.zeros((1, 1))
        >>> round(vae_loss(zero, zero, zero, zero).item(), 4)
        0.6931

    Source: Kingma and Welling, arXiv:1312.6114 (kingma2013); beta: Burgess et al., arXiv:1804.03599 (burgess2018).
    """
    beta = as_scalar("vae_loss", "beta", beta)
    negative = not isinstance(beta, jax.core.Tracer) and not beta >= 0
    if logits.shape != images.shape or mean.shape != log_variance.shape or negative:
        raise ValueError(
            f"vae_loss: logits {logits.shape} and images {images.shape}, means {mean.shape} and log variances "
            f"{log_variance.shape} must be equal in pairs, and beta={beta} at least 0"
        )
    z, x = logits.astype(jnp.float32), images.astype(jnp.float32)
    mean, log_variance = mean.astype(jnp.float32), log_variance.astype(jnp.float32)
    pixels = jax.nn.softplus(z) - x * z
    divergence = 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1)
    each = pixels.reshape(len(x), -1).sum(-1) + beta * divergence.reshape(len(x), -1).sum(-1)
    return jnp.mean(each)
