"""Arrays that belong to a state alone, so that the state may be donated."""

from typing import Any

import jax
import jax.numpy as jnp


def unshared(state: Any, others: Any) -> Any:
    """The state with a copy of every array that occurs in it before, or in `others`.

    `jax.jit(..., donate_argnums=...)` deletes the arrays of a donated state, once each.
    """
    taken = {id(x) for x in jax.tree.leaves(others)}

    def leaf(x: Any) -> Any:
        if isinstance(x, jax.Array) and id(x) in taken:
            return jnp.copy(x)
        taken.add(id(x))
        return x

    return jax.tree.map(leaf, state)


def copied(tree: Any) -> Any:
    """Copies of all arrays of a tree that the caller keeps: keys, statistics."""
    return jax.tree.map(lambda x: jnp.copy(x) if isinstance(x, jax.Array) else x, tree)
