"""The contract of a reducer: pure functions over batches, with statistics that add up."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax


class Fitted(Protocol):
    """What a reducer has learned: a pytree of arrays with pure functions.

    `inverse_transform` is there where the features can be guessed from what is left of them, and
    `reconstruction_error` then is the mean squared error of a row.
    """

    def transform(self, x: Any) -> jax.Array:
        """`[n, features]` to `[n, fewer]`."""


class Reducer(NamedTuple):
    """A way to learn from rows `[n, features]`, one batch at a time.

    .. math:: s = merge(update(init, X_1), update(init, X_2)), \\quad T = finalize(s)

    All are pure and run under `jit`. `merge` is associative and commutative up to rounding, so batches may come in any
    size and order, on any device or host.

    Attributes:
        init: `number of features -> state`, a tree of arrays.
        update: `(state, batch) -> state`.
        merge: `(state, state) -> state`.
        finalize: `state -> fitted`.
        name: For messages and manifests.

    Example:
        >>> from compressjax.data import standard_scaler
        >>> import jax.numpy as jnp
        >>> reducer = standard_scaler()
        >>> state = reducer.update(reducer.init(1), jnp.array([[1.0], [3.0]]))
        >>> reducer.finalize(state).transform(jnp.array([[5.0]])).tolist()
        [[3.0]]
    """

    init: Callable[[int], Any]
    update: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    finalize: Callable[[Any], Any]
    name: str
