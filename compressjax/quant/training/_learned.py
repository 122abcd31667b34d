"""Grids with learned numbers: what the methods that learn step sizes and levels share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression, dense_gradient, on_values
from compressjax.core._learn import learn
from compressjax.core._unfit import each

Arrays = dict[str, jax.Array]


class LearnedGridState(NamedTuple):
    """State of `lsq` and `ttq`: `{path: learned step sizes or levels}`, and the state of their optimizer."""

    learned: Arrays
    inner: Any


class Rounding(NamedTuple):
    """How one leaf is rounded with what it learns.

    Attributes:
        start: `(path, x) -> learned`, float32.
        node: `(path, x, learned) -> node`, whose dense tensor is the view.
        pull: `(path, x, learned, g) -> (gradient of x, gradient of learned)` for the gradient `g` of the view, float32.
        settle: `learned -> learned`, after a step of the optimizer.
    """

    start: Callable[[str, jax.Array], jax.Array]
    node: Callable[[str, jax.Array, jax.Array], Any]
    pull: Callable[[str, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    settle: Callable[[jax.Array], jax.Array]


def learned_grid(who: str, name: str, rounding: Rounding, optimizer: optax.GradientTransformation) -> Compression:
    """A compression that learns the numbers of its grids from the dense gradient of its view."""

    def init(flat: Arrays) -> LearnedGridState:
        learned = each(who, flat, lambda path: rounding.start(path, flat[path]))
        return LearnedGridState(learned, optimizer.init(learned))

    def encode(flat: Arrays, state: LearnedGridState) -> dict[str, Any]:
        return {path: rounding.node(path, x, state.learned[path]) for path, x in flat.items()}

    def view(flat: Arrays, state: LearnedGridState) -> Arrays:
        return dense_gradient(flat, {path: node.materialize() for path, node in encode(flat, state).items()})

    def before_step(grads: Arrays, flat: Arrays, state: LearnedGridState) -> tuple[Arrays, LearnedGridState]:
        received, slopes = {}, {}
        for path, g in grads.items():
            x, wide = flat[path].astype(jnp.float32), g.astype(jnp.float32)
            through, slopes[path] = rounding.pull(path, x, state.learned[path], wide)
            received[path] = through.astype(g.dtype)
        moved, inner = learn(optimizer, slopes, state.inner, state.learned)
        return received, LearnedGridState({path: rounding.settle(x) for path, x in moved.items()}, inner)

    return on_values(name, init=init, view=view, encode=encode, before_step=before_step, learns=True)
