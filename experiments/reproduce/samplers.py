"""Samplers of images, each fitted to the training images of a problem."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import generate
from experiments.datasets import batch_indices, white
from experiments.problem import Problem

_BATCH = 500


class Sampler(NamedTuple):
    """A fitted sampler.

    Attributes:
        latent: Numbers of noise an image.
        draw: `(noise [n, latent], labels [n]) -> images [n, height, width, 1]`, uint8.
        labeled: Whether the images follow the labels.
    """

    latent: int
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray]
    labeled: bool = True

    def sample(self, key: jax.Array, labels: np.ndarray) -> np.ndarray:
        """One image a label from Gaussian noise."""
        return self.draw(np.asarray(jax.random.normal(key, (len(labels), self.latent))), labels)


def top(problem: Problem) -> float:
    """The brightest value of a pixel, 255 for most data."""
    return float(white(problem.data.name))


def signed(problem: Problem, images: Any) -> jax.Array:
    """Images in [-1, 1], as generators make them."""
    return jnp.asarray(images, jnp.float32) * (2 / top(problem)) - 1


def pixels(problem: Problem, images: Any) -> np.ndarray:
    """Images in [-1, 1] as bytes."""
    return np.clip(np.round((np.asarray(images) + 1) * (top(problem) / 2)), 0, top(problem)).astype(np.uint8)


def noise(problem: Problem, config: Mapping[str, Any]) -> Sampler:
    """Pixels that are uniform and independent."""
    shape = problem.data.train_images.shape[1:]
    count = int(np.prod(shape))
    return Sampler(
        count, lambda z, _: pixels(problem, 2 * jax.scipy.stats.norm.cdf(z).reshape(-1, *shape) - 1), labeled=False
    )


def gaussian(problem: Problem, config: Mapping[str, Any]) -> Sampler:
    """A Gaussian in the space of the first principal components of the training images."""
    shape, components = problem.data.train_images.shape[1:], config["components"]
    flat = np.asarray(signed(problem, problem.data.train_images)).reshape(len(problem.data.train_images), -1)
    mean = flat.mean(0)
    variances, axes = np.linalg.eigh(np.cov(flat.T))
    scaled = (axes * np.sqrt(np.maximum(variances, 0)))[:, -components:].T
    return Sampler(components, lambda z, _: pixels(problem, (mean + z @ scaled).reshape(-1, *shape)), labeled=False)


def autoencoder(problem: Problem, config: Mapping[str, Any]) -> Sampler:
    """A variational autoencoder with labels; a sample is the mean of its pixels."""
    settings, data = config["vae"], problem.data
    model = generate.VAE(data.train_images.shape[1:], settings["latent"], settings["width"], data.classes)
    unit = jax.jit(lambda rows: jnp.asarray(problem.images[rows], jnp.float32) / top(problem))
    key, optimizer = problem.key("vae"), optax.adam(settings["learning_rate"])
    variables = model.init(key, unit(np.arange(2)), key, problem.labels[:2])

    @functools.partial(jax.jit, donate_argnums=0)
    def step(carry: Any, rows: jax.Array, number: jax.Array) -> Any:
        variables, state = carry
        images = unit(rows)

        def loss(variables: Any) -> jax.Array:
            out = model.apply(variables, images, jax.random.fold_in(key, number), problem.labels[rows])
            return generate.vae_loss(out[0], images, *out[1:])

        updates, state = optimizer.update(jax.grad(loss)(variables), state)
        return optax.apply_updates(variables, updates), state

    order = batch_indices(problem.seed, "vae", 0, settings["steps"], settings["batch"], len(data.train_labels))
    carry = variables, optimizer.init(variables)
    for number, rows in enumerate(order):
        carry = step(carry, rows, np.int32(number))

    def decode(z: jax.Array, labels: jax.Array) -> jax.Array:
        return 2 * jax.nn.sigmoid(model.apply(carry[0], z, labels, method="decode")) - 1

    return Sampler(settings["latent"], _in_batches(problem, decode))


def adversarial(problem: Problem, config: Mapping[str, Any]) -> Sampler:
    """A convolutional generator with labels, trained against a discriminator; its moving average draws."""
    settings, data = config["gan"], problem.data
    side, classes = data.train_images.shape[1], data.classes
    generator = generate.DCGANGenerator(side, width=settings["width"], classes=classes)
    parts = generate.gan(
        generator,
        generate.DCGANDiscriminator(settings["judge"], classes=classes),
        loss=settings["loss"],
        latent=settings["latent"],
        decay=settings["decay"],
        optimizers=tuple(optax.adam(rate, 0.5, 0.999) for rate in settings["rates"]),
    )
    key = problem.key("gan")

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: generate.GANState, rows: jax.Array, number: jax.Array) -> Any:
        images = signed(problem, problem.images[rows])
        return parts.step(state, images, problem.labels[rows], jax.random.fold_in(key, number))[0]

    order = batch_indices(problem.seed, "gan", 0, settings["steps"], settings["batch"], len(data.train_labels))
    state = parts.init(key, signed(problem, problem.images[order[0]]), problem.labels[order[0]])
    for number, rows in enumerate(order):  # outside of a loop, in which XLA's convolutions are slow on a CPU
        state = step(state, rows, np.int32(number))
    variables = {**state.generator, "params": state.average}
    return Sampler(settings["latent"], _in_batches(problem, lambda z, labels: generator.apply(variables, z, labels)))


def _in_batches(problem: Problem, make: Callable[..., jax.Array]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of any number of samples from one that is compiled for a fixed number."""
    run = jax.jit(make)

    def draw(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
        size = min(_BATCH, len(z))
        rest = -len(z) % size
        z, labels = np.concatenate([z, z[:rest]]), np.concatenate([labels, labels[:rest]])
        made = [pixels(problem, run(z[i : i + size], labels[i : i + size])) for i in range(0, len(z), size)]
        return np.concatenate(made)[: len(z) - rest]

    return draw


SAMPLERS: dict[str, Callable[[Problem, Mapping[str, Any]], Sampler]] = {
    "noise": noise, "PCA Gaussian": gaussian, "VAE": autoencoder, "GAN": adversarial,
}  # fmt: skip
