"""Losses of generators and discriminators."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._numerics import root


class Adversarial(NamedTuple):
    """A pair of losses.

    Attributes:
        generator: `logits of generated samples -> loss`, of the generator.
        discriminator: `(logits of real samples, logits of generated samples) -> loss`, of the discriminator.
    """

    generator: Callable[[jax.Array], jax.Array]
    discriminator: Callable[[jax.Array, jax.Array], jax.Array]


def adversarial(kind: str = "hinge") -> Adversarial:
    """Returns the losses of a generator and a discriminator by name.

    With logits `D(x)` of the discriminator:

    .. math:: \\text{hinge:}\\quad L_D = E[\\max(0, 1 - D(x))] + E[\\max(0, 1 + D(G(z)))], \\quad L_G = -E[D(G(z))]

    .. math:: \\text{non-saturating:}\\quad L_D = E[\\zeta(-D(x))] + E[\\zeta(D(G(z)))],
        \\quad L_G = E[\\zeta(-D(G(z)))]

    .. math:: \\text{wasserstein:}\\quad L_D = E[D(G(z))] - E[D(x)], \\quad L_G = -E[D(G(z))]

    where `zeta` is the softplus. Add `gradient_penalty` to the Wasserstein loss (WGAN-GP).

    Args:
        kind: `"hinge"`, `"non-saturating"` or `"wasserstein"`.

    Returns:
        The losses; logits have any shape and any float dtype, losses are float32 scalars.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> losses = adversarial("hinge")
        >>> losses.discriminator(jnp.array([2.0, 0.5]), jnp.array([-3.0])).item()
        0.25

    Source: Goodfellow et al., arXiv:1406.2661 (goodfellow2014); hinge: Miyato et al., arXiv:1802.05957 (miyato2018);
    Wasserstein: Arjovsky et al., arXiv:1701.07875 (arjovsky2017).
    """
    if kind not in _LOSSES:
        raise ValueError(f"adversarial: kind={kind!r} is unknown; choose one of {', '.join(_LOSSES)}")
    return _LOSSES[kind]


def gradient_penalty(
    discriminate: Callable[[jax.Array], jax.Array], real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
    """Returns how far the slope of a discriminator is from 1 between real and generated samples.

    .. math:: E\\left[(\\|\\nabla_u D(u)\\| - 1)^2\\right], \\quad u = \\epsilon x + (1 - \\epsilon) G(z), \\;
        \\epsilon \\sim U(0, 1)

    Args:
        discriminate: `samples -> logits [batch]`, one logit a sample and no mixing of samples (no BatchNorm).
        real: `[batch, ...]`.
        fake: Of the same shape.
        key: Of the places between real and generated samples.

    Returns:
        Scalar, float32; the usual weight is 10.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> slope = lambda x: 3.0 * x[:, 0]
        >>> gradient_penalty(slope, jnp.ones((4, 2)), jnp.zeros((4, 2)), jax.random.key(0)).item()
        4.0

    Source: Gulrajani et al., arXiv:1704.00028 (gulrajani2017).
    """
    if real.shape != fake.shape:
        raise ValueError(f"gradient_penalty: real samples {real.shape} and generated ones {fake.shape} differ in "
                         "shape; take as many of each")  # fmt: skip
    share = jax.random.uniform(key, (len(real), *[1] * (real.ndim - 1)))
    between = share * real + (1 - share) * fake
    slopes = jax.grad(lambda x: jnp.sum(discriminate(x)))(between).astype(jnp.float32)
    squares = jnp.sum(slopes.reshape(len(slopes), -1) ** 2, axis=-1)
    return jnp.mean((root(squares) - 1) ** 2)


def _mean(x: Any) -> jax.Array:
    return jnp.mean(jnp.asarray(x).astype(jnp.float32))


_LOSSES = {
    "hinge": Adversarial(
        lambda fake: -_mean(fake),
        lambda real, fake: (
            _mean(jax.nn.relu(1 - real.astype(jnp.float32))) + _mean(jax.nn.relu(1 + fake.astype(jnp.float32)))
        ),
    ),
    "non-saturating": Adversarial(
        lambda fake: _mean(jax.nn.softplus(-fake.astype(jnp.float32))),
        lambda real, fake: (
            _mean(jax.nn.softplus(-real.astype(jnp.float32))) + _mean(jax.nn.softplus(fake.astype(jnp.float32)))
        ),
    ),
    "wasserstein": Adversarial(lambda fake: -_mean(fake), lambda real, fake: _mean(fake) - _mean(real)),
}
