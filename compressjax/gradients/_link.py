"""The one place that talks to other workers: collectives over a named axis, or none of them."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Link(NamedTuple):
    """The workers of a named axis (or of several); without a name there is one, and nothing is exchanged."""

    axis_name: Any = None

    def size(self) -> int:
        """Number of workers, which is static."""
        if self.axis_name is None:
            return 1
        names = self.axis_name if isinstance(self.axis_name, tuple) else (self.axis_name,)
        return math.prod(jax.lax.axis_size(name) for name in names)

    def place(self) -> Any:
        """Number of this worker."""
        return 0 if self.axis_name is None else jax.lax.axis_index(self.axis_name)

    def mean(self, tree: Any) -> Any:
        """Mean over the workers of every array."""
        return tree if self.axis_name is None else jax.lax.pmean(tree, self.axis_name)

    def sum(self, x: jax.Array) -> jax.Array:
        """Sum over the workers."""
        return x if self.axis_name is None else jax.lax.psum(x, self.axis_name)

    def most(self, x: jax.Array) -> jax.Array:
        """Largest number of all workers."""
        return x if self.axis_name is None else jax.lax.pmax(x, self.axis_name)

    def gather(self, tree: Any) -> Any:
        """Arrays of all workers, along a new first axis."""
        if self.axis_name is None:
            return jax.tree.map(lambda x: x[None], tree)
        return jax.lax.all_gather(tree, self.axis_name)

    def swap(self, tree: Any) -> Any:
        """Sends entry `i` of the first axis to worker `i`; entry `j` of the result is from worker `j`."""
        if self.axis_name is None:
            return tree
        return jax.tree.map(lambda x: jax.lax.all_to_all(x, self.axis_name, 0, 0, tiled=True), tree)

    def own(self, key: jax.Array) -> jax.Array:
        """A key of this worker, from one that all workers share."""
        return jax.random.fold_in(key, self.place())


def as_floats(x: jax.Array) -> jax.Array:
    """A flat float32 array."""
    return jnp.ravel(x).astype(jnp.float32)
