"""Students of a network: its logits beside the labels, and the loss that reads both."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import distill
from experiments import models
from experiments.problem import Problem, predict
from experiments.reproduce.loop import Data, View, train


class Network(NamedTuple):
    """A function of weights and uint8 images, and the weights."""

    apply: Callable[[Any, jax.Array], jax.Array]
    params: Any


class Taught(NamedTuple):
    """A trained network, its last test error in percent, and its logits of all training images if it was asked."""

    network: Network
    error: float
    logits: np.ndarray | None


def network(problem: Problem, spec: Mapping[str, Any], seed: int) -> Network:
    """The network that a config names (`name`, `settings`), with initial weights of a seed."""
    own = problem._replace(model=models.create(spec["name"], spec["settings"]), seed=seed)
    return Network(own.apply, own.initial_params())


def teach(
    problem: Problem,
    start: Network,
    data: Data,
    settings: Mapping[str, Any],
    *,
    seed: int,
    loss: Callable[..., jax.Array] | None = None,
    view: View | None = None,
    ask: bool = False,
) -> Taught:
    """Trains a network, as `loop.train` does, and asks a teacher about all training images of the problem."""
    done = train(start.apply, start.params, data, settings, seed=seed, loss=loss, view=view)
    found = Network(start.apply, done.params)
    logits = predict(found.apply, found.params, problem.data.train_images) if ask else None
    return Taught(found, done.errors[-1], logits)


def with_logits(data: Data, logits: Any) -> Data:
    """Data whose training labels are rows `[logits, label]`, for `soft_loss`."""
    return data._replace(train_labels=joined_rows(logits, data.train_labels))


def joined_rows(logits: Any, labels: Any) -> jax.Array:
    """Rows `[logits, label]` of logits `[n, classes]` and labels `[n]`."""
    return jnp.concatenate([jnp.asarray(logits), jnp.asarray(labels)[:, None].astype(jnp.float32)], axis=1)


def parted_rows(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits and labels of such rows."""
    return rows[:, :-1], rows[:, -1].astype(jnp.int32)


def soft_loss(apply: Callable[[Any, jax.Array], jax.Array], temperature: float, alpha: float) -> Callable[..., Any]:
    """Hinton's loss `(params, images, rows of with_logits) -> loss`."""

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        logits, labels = parted_rows(y)
        return distill.soft_target_loss(apply(params, x), logits, labels, temperature=temperature, alpha=alpha)

    return loss


def shifted(seed: int, pixels: int, cutout: int = 0) -> View | None:
    """Views of uint8 images, shifted by up to so many pixels at random; None for no shift."""
    if not pixels:
        return None
    key = jax.random.key(seed)

    def view(step: jax.Array, images: jax.Array) -> jax.Array:
        return distill.augment(jax.random.fold_in(key, step), images, shift=pixels, flip=False, cutout=cutout)

    return view


def gap_closed(teacher: float, plain: float, student: float) -> dict[str, float]:
    """Percent of the way from the error of plain training to that of the teacher; nothing if these are equal."""
    return {"gap closed, %": 100 * (plain - student) / (plain - teacher)} if plain != teacher else {}
