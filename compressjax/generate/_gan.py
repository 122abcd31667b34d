"""Training of a generator against a discriminator."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from compressjax.core import Selector, kernels
from compressjax.core._settings import numbers
from compressjax.generate._adversarial import Adversarial, adversarial, gradient_penalty
from compressjax.generate._spectral_norm import SpectralNorm, init_spectral_norm, spectral_norm


class GANState(NamedTuple):
    """State of a training run; arrays only.

    Attributes:
        generator: Variables of the generator.
        discriminator: Variables of the discriminator, kernels not divided.
        average: Moving average of the parameters of the generator.
        norms: State of the spectral norm; None without.
        optimizers: States of both optimizers.
        step: Number of steps.
    """

    generator: Any
    discriminator: Any
    average: Any
    norms: SpectralNorm | None
    optimizers: tuple[Any, Any]
    step: jax.Array


class GAN(NamedTuple):
    """Pure functions of a training run.

    Attributes:
        init: `(key, images, labels=None) -> GANState`.
        step: `(state, images, labels, key) -> (state, {name: number})`; images lie in [-1, 1]; labels may be None.
        sample: `(state, key, count, labels=None) -> images`, from the averaged generator.
    """

    init: Callable[..., GANState]
    step: Callable[..., tuple[GANState, dict[str, jax.Array]]]
    sample: Callable[..., jax.Array]


def kernels_without_penalty(path: str, leaf: Any) -> bool:
    """Stands for the default of `gan(divide=)`: all kernels, or none where a penalty bounds the slope already."""
    return kernels(path, leaf)


def gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    loss: str = "hinge",
    latent: int = 64,
    penalty: float | None = None,
    divide: Selector | None = kernels_without_penalty,
    decay: float = 0.999,
    every: int | None = None,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation] | None = None,
) -> GAN:
    """Returns the functions that train a generator against a discriminator, one step each per call.

    .. math:: \\theta_D \\leftarrow \\theta_D - \\eta \\nabla L_D, \\quad
        \\theta_G \\leftarrow \\theta_G - \\eta \\nabla L_G, \\quad
        \\bar\\theta_G \\leftarrow d\\, \\bar\\theta_G + (1 - d)\\, \\theta_G

    The defaults are stable on small images: hinge loss, spectral norms in the discriminator, twice the rate for it,
    and samples from a moving average. The decay of the average rises from 0.1 to `decay`, as `(1 + t) / (10 + t)` at
    step `t` of the generator.

    Args:
        generator: Linen module, `(noise [batch, latent], labels, train) -> images`; may keep `batch_stats`.
        discriminator: Linen module, `(images, labels) -> logits [batch]`.
        loss: As for `adversarial`.
        latent: Numbers of noise a sample.
        penalty: Weight of `gradient_penalty`; None is 10 for `"wasserstein"`, else 0.
        divide: Kernels of the discriminator under `spectral_norm`, beside a penalty too; None for none. By default all,
            or none if there is a penalty.
        decay: Of the average, in [0, 1).
        every: The generator moves in every such call, the discriminator in all; None is 5 for `"wasserstein"`, else 1.
        optimizers: Of generator and discriminator; Adam with rates 2e-4 and 4e-4 and moments 0.5 and 0.999 if None.

    Returns:
        The functions; jit them.

    Raises:
        ValueError: If a setting is out of range; from `init`, if images are outside [-1, 1].

    Example:
        >>> from compressjax.generate import DCGANDiscriminator, DCGANGenerator
        >>> parts = gan(DCGANGenerator(size=4, width=4), DCGANDiscriminator(width=4), latent=8)
        >>> images, key = jnp.zeros((2, 4, 4, 1)), jax.random.key(0)
        >>> state = jax.eval_shape(parts.init, key, images)
        >>> state, losses = jax.eval_shape(parts.step, state, images, None, key)
        >>> jax.eval_shape(lambda state: parts.sample(state, key, 3), state).shape
        (3, 4, 4, 1)

    Source: Goodfellow et al., arXiv:1406.2661 (goodfellow2014); two rates: Heusel et al., arXiv:1706.08500
    (heusel2017).
    """
    losses = adversarial(loss)
    weight = {"wasserstein": 10.0}.get(loss, 0.0) if penalty is None else penalty
    weight, decay = numbers("gan", penalty=weight, decay=decay)
    every = {"wasserstein": 5}.get(loss, 1) if every is None else every
    if latent < 1 or every < 1 or weight < 0 or not 0 <= decay < 1:
        raise ValueError(f"gan: latent={latent} and every={every} must be at least 1, penalty={weight} at least 0 and "
                         f"decay={decay} in [0, 1)")  # fmt: skip
    rates = optimizers or (optax.adam(2e-4, 0.5, 0.999), optax.adam(4e-4, 0.5, 0.999))
    if divide is kernels_without_penalty:
        divide = None if weight else kernels
    pair = _Pair(generator, discriminator, losses, latent, weight, divide, decay, every, *rates)
    return GAN(pair.init, pair.step, pair.sample)


class _Pair(NamedTuple):
    """Both networks with the settings of their training."""

    generator: nn.Module
    discriminator: nn.Module
    losses: Adversarial
    latent: int
    penalty: float
    divide: Selector | None
    decay: float
    every: int
    first: optax.GradientTransformation
    second: optax.GradientTransformation

    def init(self, key: jax.Array, images: jax.Array, labels: jax.Array | None = None) -> GANState:
        _check(images)
        keys = jax.random.split(key, 3)
        made = self.generator.init(keys[0], jnp.zeros((len(images), self.latent)), *_given(labels))
        judge = self.discriminator.init(keys[1], images, *_given(labels))
        norms = None if self.divide is None else init_spectral_norm(judge["params"], keys[2], self.divide)
        states = self.first.init(made["params"]), self.second.init(judge["params"])
        average = jax.tree.map(jnp.copy, made["params"])
        return GANState(made, judge, average, norms, states, jnp.zeros((), jnp.int32))

    def step(
        self, state: GANState, images: jax.Array, labels: jax.Array | None, key: jax.Array
    ) -> tuple[GANState, dict[str, jax.Array]]:
        keys = jax.random.split(key, 3)
        judge, norms, second, judge_value = self._judge(state, images, labels, keys[0], keys[1])
        own = judge["params"] if norms is None else spectral_norm(judge["params"], norms)[0]

        def made_loss(params: Any) -> tuple[jax.Array, Any]:
            noise = jax.random.normal(keys[2], (len(images), self.latent), images.dtype)
            samples, rest = self._generated({**state.generator, "params": params}, noise, labels)
            return self.losses.generator(self._judged({**judge, "params": own}, samples, labels)), rest

        def move(first: Any) -> tuple[Any, ...]:
            made = state.generator["params"]
            (value, rest), slopes = jax.value_and_grad(made_loss, has_aux=True)(made)
            updates, first = self.first.update(slopes, first, made)
            made = optax.apply_updates(made, updates)
            count = (state.step // self.every).astype(jnp.float32)
            rate = 1 - jnp.minimum(self.decay, (1 + count) / (10 + count))
            return {**rest, "params": made}, optax.incremental_update(made, state.average, rate), first, value

        def stay(first: Any) -> tuple[Any, ...]:
            return state.generator, state.average, first, made_loss(state.generator["params"])[0]

        if self.every == 1:
            made, average, first, made_value = move(state.optimizers[0])
        else:
            turn = state.step % self.every == self.every - 1
            made, average, first, made_value = jax.lax.cond(turn, move, stay, state.optimizers[0])
        after = GANState(made, judge, average, norms, (first, second), state.step + 1)
        return after, {"generator": made_value, "discriminator": judge_value}

    def sample(self, state: GANState, key: jax.Array, count: int, labels: jax.Array | None = None) -> Any:
        noise = jax.random.normal(key, (count, self.latent))
        return self.generator.apply({**state.generator, "params": state.average}, noise, *_given(labels))

    def _judge(
        self, state: GANState, images: jax.Array, labels: Any, noise_key: jax.Array, key: jax.Array
    ) -> tuple[Any, SpectralNorm | None, Any, jax.Array]:
        """One step of the discriminator: its variables, norms, optimizer and loss."""
        noise = jax.random.normal(noise_key, (len(images), self.latent), images.dtype)
        fake = jax.lax.stop_gradient(self._generated(state.generator, noise, labels)[0])

        def judge_loss(params: Any) -> tuple[jax.Array, Any]:
            own, norms = (params, None) if state.norms is None else spectral_norm(params, state.norms)
            variables = {**state.discriminator, "params": own}
            judged = [self._judged(variables, x, labels) for x in (images, fake)]
            value = self.losses.discriminator(*judged)
            if self.penalty:
                value += self.penalty * gradient_penalty(
                    lambda x: self._judged(variables, x, labels), images, fake, key
                )
            return value, norms

        before = state.discriminator["params"]
        (value, norms), slopes = jax.value_and_grad(judge_loss, has_aux=True)(before)
        updates, second = self.second.update(slopes, state.optimizers[1], before)
        return {**state.discriminator, "params": optax.apply_updates(before, updates)}, norms, second, value

    def _generated(self, variables: Any, noise: jax.Array, labels: Any) -> tuple[jax.Array, Any]:
        """Samples in training mode, and the other collections after them."""
        others = [name for name in variables if name != "params"]
        return self.generator.apply(variables, noise, *_given(labels), train=True, mutable=others)

    def _judged(self, variables: Any, images: jax.Array, labels: Any) -> Any:
        return self.discriminator.apply(variables, images, *_given(labels))


def _given(labels: Any) -> tuple[Any, ...]:
    return () if labels is None else (labels,)


def _check(images: jax.Array) -> None:
    if isinstance(images, jax.core.Tracer):
        return
    low, high = float(jnp.min(images)), float(jnp.max(images))
    if not -1.001 <= low <= high <= 1.001:
        raise ValueError(f"gan: images lie in [{low:g}, {high:g}], and generators end in tanh; scale them to [-1, 1]")
