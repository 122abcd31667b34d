"""Arrays that belong to a state alone, so that the state may be donated."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

_LENT: contextvars.ContextVar[bool] = contextvars.ContextVar("lent", default=False)


@contextmanager
def lent() -> Iterator[None]:
    """Inside, states live no longer than their call, so they may hold the arrays of the caller: see `copied`."""
    token = _LENT.set(True)
    try:
        yield
    finally:
        _LENT.reset(token)


def is_lent() -> bool:
    """Whether states live no longer than their call, so that their arrays may be given away."""
    return _LENT.get()


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
    """Copies of all arrays of a tree that the caller keeps: keys, statistics; none inside `lent`."""
    return tree if _LENT.get() else jax.tree.map(lambda x: jnp.copy(x) if isinstance(x, jax.Array) else x, tree)
