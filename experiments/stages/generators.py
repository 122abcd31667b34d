"""Generators that the driver `generate` trains: on the training images, or against the dense network alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax import generate
from experiments.problem import Problem
from experiments.reproduce.features import with_features
from experiments.reproduce.samplers import top

# Weights of confidence, activation and balance, those of DAFL on MNIST.
WEIGHTS = (1.0, 0.1, 5.0)


class Generator(NamedTuple):
    """A generator of images in [-1, 1].

    Attributes:
        init: `(key, images) -> state`, arrays only.
        step: `(state, teacher, images, key) -> (state, metrics)`; `teacher` are parameters of the dense network.
        draw: `(state, key, count) -> images`.
    """

    init: Callable[..., Any]
    step: Callable[..., tuple[Any, dict[str, jax.Array]]]
    draw: Callable[..., jax.Array]


def autoencoder(problem: Problem, latent: int, width: int | None, rate: float) -> Generator:
    """A variational autoencoder; a sample is the mean of its pixels."""
    model = generate.VAE(problem.data.train_images.shape[1:], latent, width or 400)
    optimizer = optax.adam(rate)

    def init(key: jax.Array, images: jax.Array) -> Any:
        variables = model.init(key, images, key)
        return variables, optimizer.init(variables)

    def step(state: Any, teacher: Any, images: jax.Array, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        del teacher
        unit = (images + 1) / 2

        def loss(variables: Any) -> jax.Array:
            logits, *codes = model.apply(variables, unit, key)
            return generate.vae_loss(logits, unit, *codes)

        value, slopes = jax.value_and_grad(loss)(state[0])
        updates, moments = optimizer.update(slopes, state[1])
        return (optax.apply_updates(state[0], updates), moments), {"loss": value}

    def draw(state: Any, key: jax.Array, count: int) -> jax.Array:
        pixels = model.apply(state[0], jax.random.normal(key, (count, latent)), method="decode")
        return 2 * jax.nn.sigmoid(pixels) - 1

    return Generator(init, step, draw)


def adversarial(problem: Problem, latent: int, width: int | None, rate: float) -> Generator:
    """A convolutional generator against a discriminator, which learns at twice the rate."""
    parts = generate.gan(
        _convolutional(problem, width), generate.DCGANDiscriminator(width or 32), latent=latent,
        optimizers=(optax.adam(rate, 0.5, 0.999), optax.adam(2 * rate, 0.5, 0.999)),
    )  # fmt: skip

    def step(state: Any, teacher: Any, images: jax.Array, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        del teacher
        state, found = parts.step(state, images, None, key)
        return state, {"loss": found["generator"], "discriminator": found["discriminator"]}

    return Generator(parts.init, step, parts.sample)


def data_free(problem: Problem, latent: int, width: int | None, rate: float) -> Generator:
    """A convolutional generator whose images please the dense network; it sees no training image."""
    model, optimizer = _convolutional(problem, width), optax.adam(rate)
    both = with_features(problem.apply)

    def init(key: jax.Array, images: jax.Array) -> Any:
        variables = model.init(key, jnp.zeros((len(images), latent)))
        return variables, optimizer.init(variables["params"])

    def step(state: Any, teacher: Any, images: jax.Array, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        variables, moments = state
        noise = jax.random.normal(key, (len(images), latent))

        def loss(params: Any) -> tuple[jax.Array, Any]:
            made, rest = model.apply({**variables, "params": params}, noise, train=True, mutable=["batch_stats"])
            parts = generate.data_free_losses(*both(teacher, (made + 1) * (top(problem) / 2)))
            return jnp.sum(jnp.stack([w * part for w, part in zip(WEIGHTS, parts, strict=True)])), rest

        (value, rest), slopes = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, moments = optimizer.update(slopes, moments)
        return ({**rest, "params": optax.apply_updates(variables["params"], updates)}, moments), {"loss": value}

    def draw(state: Any, key: jax.Array, count: int) -> jax.Array:
        return model.apply(state[0], jax.random.normal(key, (count, latent)))

    return Generator(init, step, draw)


def _convolutional(problem: Problem, width: int | None) -> generate.DCGANGenerator:
    _, side, _, channels = problem.data.train_images.shape
    return generate.DCGANGenerator(side, channels, width or 32)


KINDS: dict[str, Callable[[Problem, int, int | None, float], Generator]] = {
    "vae": autoencoder, "gan": adversarial, "data-free": data_free,
}  # fmt: skip
