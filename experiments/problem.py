"""A problem: a network, a data set on the device, and their accuracy."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import datasets, limits, models
from experiments.parallel import Way

EVALUATION_BATCH = 500
SEEDS = limits.Limit(0, 2**31 - 1, whole=True)


class Problem(NamedTuple):
    """Network and data that all stages of a recipe share.

    Attributes:
        model: The network.
        data: Arrays on the host.
        images: Training images on the device, uint8.
        labels: Training labels on the device.
        seed: Seed of the run.
        mesh: Devices; batches are split along its axis `data`.
        parallel: How training steps run on them, one of `parallel.WAYS`.
    """

    model: nn.Module
    data: datasets.Dataset
    images: jax.Array
    labels: jax.Array
    seed: int
    mesh: jax.sharding.Mesh
    parallel: str = "jit"

    @property
    def way(self) -> Way:
        """How training steps run on the devices."""
        return Way(self.parallel, self.mesh)

    def key(self, stage: str) -> jax.Array:
        """A PRNG key from the run's seed and a stage's name."""
        number = int.from_bytes(stage.encode()[:8].ljust(8, b"\0"), "little") % (1 << 31)
        return jax.random.fold_in(jax.random.key(self.seed), number)

    def initial_params(self) -> dict[str, Any]:
        """Initial parameters as a nested dict of arrays; all collections if the network keeps statistics."""
        image = jnp.zeros((1, *self.data.train_images.shape[1:]))
        # Published figures of networks with statistics use the plain seed.
        keeps = len(jax.eval_shape(self.model.init, jax.random.key(0), image)) > 1
        found = self.model.init(jax.random.key(self.seed) if keeps else self.key("params"), image)
        return found if keeps else found["params"]

    def apply(self, params: Any, images: jax.Array) -> jax.Array:
        """Logits of uint8 images, standardization included."""
        return standardized_apply(self.model, self.data.mean, self.data.std)(params, images)

    def standardized(self, images: Any) -> jax.Array:
        """Images as the network reads them: float32, with the mean and deviation of the training set taken out."""
        return (jnp.asarray(images, jnp.float32) - self.data.mean) / self.data.std

    def train_apply(self, params: Any, images: jax.Array) -> tuple[jax.Array, Any]:
        """Logits in training mode, and the updated statistics of the network, `{}` if it has none."""
        if "batch_stats" not in params:
            return self.apply(params, images), {}
        return self.model.apply(params, self.standardized(images), True, mutable=["batch_stats"])


def make_problem(config: Mapping[str, Any], cache: str, mesh: jax.sharding.Mesh, parallel: str = "jit") -> Problem:
    """Loads the data and builds the network that a config names.

    Args:
        config: with fields `data`, `model` and `seed`.
        cache: folder for data records.
        mesh: devices, with an axis `data`.
        parallel: how training steps run on them, one of `parallel.WAYS`.

    Returns:
        The problem.

    Raises:
        ValueError: when the data or the network do not exist, or the seed is out of its range.
    """
    limits.check(config, {"seed": SEEDS}, "--config.")
    model = models.create(config["model"]["name"], config["model"]["settings"])
    data = datasets.load(config["data"]["name"], config["data"]["path"], cache)
    # Of several processes, each feeds its devices with its part of every batch, see `Way.feed`.
    shared = Way(parallel, mesh).shared
    everywhere = None if shared else jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    images, labels = jax.device_put((data.train_images, data.train_labels), everywhere)
    return Problem(model, data, images, labels, config["seed"], mesh, parallel)


def standardized_apply(model: nn.Module, mean: float, std: float) -> Any:
    """The function `(params, uint8 images) -> logits` of a network and its data's moments.

    Args:
        model: the network.
        mean: of the training pixels.
        std: of the training pixels.

    Returns:
        The function; equal arguments give a function with equal results, not the same function.
    """

    def apply(params: Any, images: jax.Array) -> jax.Array:
        return model.apply(as_variables(params), (images.astype(jnp.float32) - mean) / std)

    return apply


def as_variables(params: Any) -> Any:
    """Variables of a Linen module from all collections or from parameters alone."""
    return params if "params" in params else {"params": params}


def cross_entropy(apply: Any, temperature: float = 1.0) -> Any:
    """The loss `(params, (images, labels)) -> mean cross-entropy` of a network.

    Args:
        apply: `(params, images) -> logits`.
        temperature: divides the logits, positive.

    Returns:
        The function.
    """

    def loss(params: Any, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        return mean_entropy(apply(params, batch[0]) / temperature, batch[1])

    return loss


def mean_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy of logits `[n, classes]` and labels `[n]`."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def wrong_percent(problem: Problem, apply: Any, params: Any) -> float:
    """Percent of the test images of a problem that a network misclassifies."""
    guesses = predict(apply, params, problem.data.test_images).argmax(-1)
    return 100 * float((guesses != problem.data.test_labels).mean())


def predict(apply: Any, params: Any, images: np.ndarray) -> np.ndarray:
    """Logits of many images, in batches of fixed size.

    Args:
        apply: `(params, images) -> logits`.
        params: its first argument.
        images: `[n, height, width, 1]`, uint8.

    Returns:
        `[n, classes]`, float32.
    """
    batch = min(EVALUATION_BATCH, len(images))
    padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), images.dtype)])
    run = jax.jit(apply)
    parts = [run(params, padded[i : i + batch]) for i in range(0, len(padded), batch)]
    return np.concatenate(parts)[: len(images)]


def assess(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Facts about logits on labeled examples.

    Args:
        logits: `[n, classes]`.
        labels: `[n]`.

    Returns:
        `accuracy` (fraction), `correct`, `examples` and the mean cross-entropy `loss`.

    Example:
        >>> assess(np.eye(2) * 100, np.array([0, 0]))["accuracy"]
        0.5
    """
    correct = int((logits.argmax(-1) == labels).sum())
    loss = mean_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray(labels))
    return {"accuracy": correct / len(labels), "correct": correct, "examples": len(labels), "loss": float(loss)}
