"""The contract of a reducer: pure functions over batches, with statistics that add up."""

import math
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


class Reads(NamedTuple):
    """What the batches of a reducer are; `fit` checks them, and names the row and the column of what does not fit.

    Attributes:
        labels: None for rows `[n, features]`; "classes" or "numbers" for pairs of rows and labels `[n]`.
        classes: With "classes", their number; labels are integers from 0.
        missing: Whether NaN stands for what is missing, and is let through.
        low: The least value that a row may hold.
        sparse: Whether rows may be sparse: matrices of SciPy, or `jax.experimental.sparse.BCOO`, which `update` gets.
        high: The greatest.
    """

    labels: str | None = None
    classes: int | None = None
    missing: bool = False
    low: float = -math.inf
    sparse: bool = False
    high: float = math.inf


class Reducer(NamedTuple):
    """A way to learn from rows `[n, features]`, one batch at a time.

    .. math:: s = merge(update(init, X_1), update(init, X_2)), \\quad T = finalize(s)

    All are pure and run under `jit`. `merge` is associative and commutative up to rounding, so batches may come in any
    size and order, on any device or host.

    An iterative method reads its source several times: its state carries what it has learned so far beside the
    statistics of the pass, and `again` turns the state after a pass (merged over hosts) into that before the next.

    Attributes:
        init: `number of features -> state`, a tree of arrays.
        update: `(state, batch) -> state`; the batch is `[n, features]`, or a pair with labels, as `reads` says.
        merge: `(state, state) -> state`.
        finalize: `state -> fitted`.
        name: For messages and manifests.
        reads: What batches are.
        again: `state -> (state, whether there is another pass)`; None for a single pass.
        eager: Whether `update` also runs by NumPy, without compilation, where batch and state are on the host.

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
    reads: Reads = Reads()
    again: Callable[[Any], tuple[Any, Any]] | None = None
    eager: bool = False
