"""A network in a random subspace: all of it follows from a config and a seed, so a file holds coordinates alone."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import theory
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy, predict

Loss = Callable[[Any, Any], jax.Array]


class Coordinates:
    """The network of a problem, moved along `dimension` directions that its seed draws."""

    def __init__(self, problem: Problem, config: Mapping[str, Any], dimension: int) -> None:
        """Draws the start and the directions; with `blur`, both are smooth images at the inputs."""
        self.problem, self.config, self.dimension = problem, config, dimension
        side = problem.data.train_images.shape[1]
        self.shape = functools.partial(blurred, matrix=gaussian(side, config["blur"])) if config["blur"] else _same
        start = self.shape(problem.initial_params())
        scales = {
            layer: {name: float(config["scales"].get(layer, 1.0)) if name == "kernel" else 1.0 for name in leaves}
            for layer, leaves in start.items()
        }
        key = problem.key("subspace")
        self.space = theory.subspace(start, dimension, key, projection=config["projection"], scales=scales)
        self._entropy = cross_entropy(problem.apply)

    def train(self) -> jax.Array:
        """Coordinates before rounding, from zero."""

        def loss(space: theory.Subspace, values: jax.Array, batch: Any) -> jax.Array:
            return self._entropy(space.expand(values, self.shape), batch)

        return self._fit(loss, jnp.zeros(self.dimension), "values", "epochs", "learning_rate")

    def rounded(self, values: jax.Array, levels: int) -> Any:
        """The node of a file: a codebook, and coordinates that were trained together with it."""
        charge = self.config["charge"] * float(jnp.var(values))

        def loss(space: theory.Subspace, both: Any, batch: Any) -> jax.Array:
            return self._entropy(space.expand(theory.round_to_codebook(*both, charge)[0], self.shape), batch)

        both = values, jnp.asarray(theory.start_codebook(values, levels))
        both = self._fit(loss, both, f"{levels} levels", "rounding_epochs", "rounding_rate")
        return theory.as_codebook(*both, charge)

    def wrong(self, values: Any, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether each prediction is wrong, at coordinates that are an array or a node."""
        params = jax.jit(lambda space, v: space.expand(v, self.shape))(self.space, values)
        return predict(self.problem.apply, params, images).argmax(-1) != labels

    def _fit(self, loss: Callable, start: Any, name: str, epochs: str, rate: str) -> Any:
        """Adam with a cosine, an epoch at a time."""
        data, settings = self.problem.data, self.config
        batch, rows = settings["batch"], len(data.train_labels)
        chunk = max(1, round(min(1.0, settings[epochs]) * (rows // batch)))
        count = max(1, round(settings[epochs] * (rows // batch) / chunk))
        optimizer = optax.adam(optax.cosine_decay_schedule(settings[rate], count * chunk))

        def step(space: theory.Subspace, carry: Any, row: jax.Array) -> tuple[Any, None]:
            params, state = carry
            part = self.problem.images[row], self.problem.labels[row]
            updates, state = optimizer.update(jax.grad(loss, 1)(space, params, part), state)
            return (optax.apply_updates(params, updates), state), None

        @jax.jit
        def epoch(space: theory.Subspace, carry: Any, places: jax.Array) -> Any:
            return jax.lax.scan(functools.partial(step, space), carry, places)[0]

        carry = start, optimizer.init(start)
        for i in range(count):
            places = batch_indices(self.problem.seed, name, i * chunk, chunk, batch, rows)
            carry = epoch(self.space, carry, places)
        if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(carry[0])):
            raise ValueError(f"the coordinates are no numbers; lower --config.{rate}={settings[rate]}")
        return carry[0]


def gaussian(side: int, width: float) -> jax.Array:
    """A blur `[side, side]` of this width in pixels, which keeps the variance of noise."""
    away = np.arange(side)[:, None] - np.arange(side)[None]
    matrix = np.exp(-0.5 * (away / width) ** 2)
    return jnp.asarray(matrix / np.sqrt((matrix**2).sum(1, keepdims=True)), jnp.float32)


def blurred(params: Mapping[str, Any], matrix: jax.Array) -> dict[str, Any]:
    """Parameters whose first kernel, one image a unit, is blurred along both axes; linear in the parameters."""
    kernel, side = params["Dense_0"]["kernel"], len(matrix)
    images = kernel.reshape(side, side, -1)
    found = jnp.einsum("ij,jkc->ikc", matrix, images)
    found = jnp.einsum("ij,kjc->kic", matrix, found).reshape(kernel.shape)
    return {**params, "Dense_0": {**params["Dense_0"], "kernel": found}}


def _same(params: Any) -> Any:
    return params
