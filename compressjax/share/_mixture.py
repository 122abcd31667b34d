"""Soft weight sharing: a mixture of normal distributions as the prior of the weights, which learns with them."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Selector, kernels, matches, on_values, values
from compressjax.core._settings import as_int, as_number
from compressjax.numerics._numerics import straight_through, wide
from compressjax.tensors import Codebook


class Mixture(NamedTuple):
    """A mixture of normal distributions; a pytree of arrays that trains with the weights.

    Attributes:
        means: `[k - 1]`, of all components but the first, whose mean is 0.
        log_deviations: `[k]`, natural logarithms of the standard deviations.
        logits: `[k - 1]`, of the shares of all components but the first.
        zero_share: Share of the first component, a scalar; its gradient is 0.
    """

    means: jax.Array
    log_deviations: jax.Array
    logits: jax.Array
    zero_share: jax.Array


def mixture(params: Any, components: int = 16, *, zero_share: float = 0.9, select: Selector = kernels) -> Mixture:
    """Starts a mixture over the range of the weights.

    Args:
        params: Tree of trained weights.
        components: k, 3 to 256, the one at zero included.
        zero_share: Share of the component at zero, above 0 and below 1; 0.9 to 0.999 prunes.
        select: Which values it is the prior of.

    Returns:
        Means in equal steps over the range, deviations of a quarter of the weights' own.

    Raises:
        ValueError: If a setting is out of range, or no value is selected.

    Example:
        >>> mixture({"kernel": jnp.array([[-1.0, 1.0]])}, 3).means.tolist()
        [-1.0, 1.0]

    Source: Ullrich et al., Soft Weight-Sharing for Neural Network Compression, arXiv:1702.04008 (ullrich2017).
    """
    if not 3 <= as_int("mixture", "components", components) <= 256:
        raise ValueError(f"mixture: components={components} must be between 3 and 256")
    if not 0 < as_number("mixture", "zero_share", zero_share) < 1:
        raise ValueError(f"mixture: zero_share={zero_share} must be above 0 and below 1; 0.9 to 0.999 is usual")
    flat = _weights(params, select)
    low, high = jnp.min(flat), jnp.max(flat)
    deviation = jnp.maximum(jnp.std(flat), 1e-6) / 4
    return Mixture(
        jnp.linspace(low, high, components - 1),
        jnp.full(components, jnp.log(deviation)),
        jnp.zeros(components - 1),
        jnp.asarray(zero_share, jnp.float32),
    )


def mixture_penalty(params: Any, prior: Mixture, *, floor: float = 1e-3, select: Selector = kernels) -> jax.Array:
    """Returns the negative log-likelihood of the weights under the mixture, in nats.

    .. math:: -\\sum_i \\log \\sum_j \\pi_j N(w_i \\mid \\mu_j, \\sigma_j^2)

    Add it to the loss of all examples, times a factor of about 0.005, and train weights and mixture together. Weights
    then gather at the means, and most at zero. Deviations below `floor` are taken as it, where the paper has a Gamma
    prior: without either, a component collapses on one weight and the likelihood has no bound.

    Args:
        params: Tree of weights.
        prior: From `mixture`.
        floor: Smallest standard deviation, above 0.
        select: Which values it is the prior of.

    Returns:
        Scalar, differentiable with respect to both.

    Raises:
        ValueError: If no value is selected, or the floor is not above 0.

    Example:
        >>> params = {"kernel": jnp.array([[0.0]])}
        >>> prior = Mixture(jnp.array([9.0, -9.0]), jnp.zeros(3), jnp.zeros(2), jnp.array(0.5))
        >>> round(float(mixture_penalty(params, prior)), 4)  # log 2 + log(2 pi) / 2
        1.6121

    Source: Ullrich et al., arXiv:1702.04008 (ullrich2017).
    """
    if not 0 < as_number("mixture_penalty", "floor", floor) < math.inf:
        raise ValueError(f"mixture_penalty: floor={floor} must be above 0")
    return -jnp.sum(jax.nn.logsumexp(_log_joint(_weights(params, select), prior, floor), axis=-1))


def from_mixture(prior: Mixture, *, floor: float = 1e-3) -> Compression:
    """Moves every weight to the mean of the component that most likely made it.

    .. math:: \\hat w_i = \\mu_{\\arg\\max_j \\pi_j N(w_i \\mid \\mu_j, \\sigma_j^2)}, \\qquad \\mu_0 = 0

    Args:
        prior: The trained mixture, with at most 256 components.
        floor: As for `mixture_penalty`.

    Returns:
        Compression whose nodes are `Codebook`; its gradient is straight-through.

    Raises:
        ValueError: From `init`, if a leaf is not finite.

    Example:
        >>> from compressjax.core import compress
        >>> prior = Mixture(jnp.array([1.0, -1.0]), jnp.full(3, -2.0), jnp.zeros(2), jnp.array(0.5))
        >>> compress({"kernel": jnp.array([[0.1, 0.9]])}, {".*": from_mixture(prior)})["kernel"].materialize().tolist()
        [[0.0, 1.0]]

    Source: Ullrich et al., arXiv:1702.04008 (ullrich2017).
    """
    table = jnp.concatenate([jnp.zeros(1), prior.means.astype(jnp.float32)])
    order = jnp.argsort(table)
    place = jnp.argsort(order)

    def encode(flat: dict[str, jax.Array], state: Any) -> dict[str, Codebook]:
        del state
        found = {}
        for path, x in flat.items():
            best = jnp.argmax(_log_joint(wide(x).astype(jnp.float32), prior, floor), axis=-1)
            found[path] = Codebook(table[order].astype(x.dtype), place[best].astype(jnp.uint8))
        return found

    def view(flat: dict[str, jax.Array], state: Any) -> dict[str, jax.Array]:
        return {path: straight_through(flat[path], node.materialize()) for path, node in encode(flat, state).items()}

    return on_values(f"from_mixture(components={table.shape[0]})", encode=encode, view=view)


def _weights(params: Any, select: Selector) -> jax.Array:
    chosen = [wide(x).astype(jnp.float32).ravel() for path, x in values(params).items() if matches(select, path, x)]
    if not chosen or not sum(x.size for x in chosen):
        raise ValueError(f"mixture: select={select!r} selects no weights of {list(values(params))[:8]}")
    return jnp.concatenate(chosen)


def _log_joint(x: jax.Array, prior: Mixture, floor: float) -> jax.Array:
    """Logarithms of share times density, `[*x.shape, k]`."""
    means = jnp.concatenate([jnp.zeros(1), prior.means])
    deviations = jnp.maximum(jnp.exp(prior.log_deviations), floor)
    zero = jax.lax.stop_gradient(prior.zero_share)
    shares = jnp.concatenate([jnp.log(zero)[None], jnp.log1p(-zero) + jax.nn.log_softmax(prior.logits)])
    heights = shares - jnp.log(deviations) - math.log(2 * math.pi) / 2
    means, deviations, heights = (y.reshape(*(1,) * x.ndim, -1) for y in (means, deviations, heights))
    return heights - jnp.square((x[..., None] - means) / deviations) / 2
