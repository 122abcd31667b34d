"""Few made-up rows whose gradients are those of all rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax.core._settings import integers

Loss = Callable[[Any, jax.Array, jax.Array], jax.Array]


class Condensed(NamedTuple):
    """Made-up rows.

    Attributes:
        x: `[classes * per_class, ...]`.
        y: `[classes * per_class]`, int32.
        distances: `[rounds]`, of the gradients, in the order of the rounds.
    """

    x: jax.Array
    y: jax.Array
    distances: jax.Array


def gradient_distance(a: Any, b: Any) -> jax.Array:
    """Sums the cosine distances of gradients over the outputs of all layers.

    .. math:: D(A, B) = \\sum_l \\sum_o \\Big(1 - \\frac{A_{l \\cdot o} \\cdot B_{l \\cdot o}}
        {\\|A_{l \\cdot o}\\| \\|B_{l \\cdot o}\\|}\\Big)

    Args:
        a: Tree of gradients; the last axis of an array is its outputs. Vectors count as one output.
        b: The same of others.

    Returns:
        A number, at least 0.

    Example:
        >>> a = {"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]])}
        >>> gradient_distance(a, {"kernel": jnp.array([[3.0, 1.0], [0.0, 0.0]])}).tolist()
        1.0

    Source: Zhao et al., ICLR 2021, arXiv:2006.05929.
    """

    def one(x: jax.Array, y: jax.Array) -> jax.Array:
        x, y = (z.reshape(-1, z.shape[-1] if z.ndim > 1 else 1) for z in (x, y))
        sizes = jnp.sum(x**2, axis=0) * jnp.sum(y**2, axis=0)
        return jnp.sum(1 - jnp.sum(x * y, axis=0) / jnp.sqrt(jnp.maximum(sizes, 1e-20)))

    total: jax.Array = sum(jax.tree.leaves(jax.tree.map(one, a, b)), jnp.zeros(()))
    return total


def condense(
    loss: Loss, draw: Callable[[jax.Array], Any], x: Any, y: Any, per_class: int, key: jax.Array, *, rounds: int = 200,
    inner: int = 5, batch: int = 64, optimizer: optax.GradientTransformation | None = None,
    learner: optax.GradientTransformation | None = None,
) -> Condensed:  # fmt: skip
    """Makes a small data set on which a model gets the gradients of the large one.

    .. math:: \\min_{X'} \\mathbb{E}_{\\theta_0} \\sum_t \\sum_c D\\big(\\nabla_\\theta L(\\theta_t; X_c),
        \\nabla_\\theta L(\\theta_t; X'_c)\\big)

    Every round draws parameters anew; within it, the rows move and the parameters take steps on them in turn.

    Args:
        loss: `(params, x, y) -> number`, the mean over rows.
        draw: `key -> params`, a start of the model.
        x: `[n, ...]`, finite.
        y: `[n]`, integers from 0; every class up to the largest occurs.
        per_class: Rows of a class, at least 1; they start as random ones of the class.
        key: Random key.
        rounds: Draws of parameters, at least 1.
        inner: Moves of the rows within a round, at least 1.
        batch: Rows of a class whose gradient is matched, at least 1.
        optimizer: Of the rows; SGD with the rate 0.1 and momentum 0.5 if None.
        learner: Of the parameters within a round; SGD with the rate 0.05 if None.

    Returns:
        `Condensed`.

    Raises:
        ValueError: If a number is out of range, `x` and `y` differ in length, a value is not finite, or a class has no
            rows.

    Example:
        >>> def loss(params, x, y):
        ...     return optax.softmax_cross_entropy_with_integer_labels(x @ params, y).mean()
        >>> x = jnp.array([[1.0, 0.1], [1.2, -0.1], [-1.0, 0.0], [-0.8, 0.1]])
        >>> made = condense(
        ...     loss, lambda k: jax.random.normal(k, (2, 2)), x, [0, 0, 1, 1], 1, jax.random.key(0), rounds=20
        ... )
        >>> made.y.tolist(), bool(made.x[0, 0] > made.x[1, 0])
        ([0, 1], True)

    Source: Zhao et al., ICLR 2021, arXiv:2006.05929.
    """
    small, times, moves, size = integers("condense", per_class=per_class, rounds=rounds, inner=inner, batch=batch)
    if min(small, times, moves, size) < 1:
        raise ValueError(
            f"condense: per_class={small}, rounds={times}, inner={moves} and batch={size} must be at least 1"
        )
    rows, places = _checked(x, y)
    first, run = jax.random.split(key)
    picks = np.random.default_rng(np.asarray(jax.random.key_data(first)).ravel().tolist())
    begin = rows[np.concatenate([picks.choice(own, small, replace=len(own) < small) for own in places])]
    slow, fast = optimizer or optax.sgd(0.1, 0.5), learner or optax.sgd(0.05)
    made = jnp.repeat(jnp.arange(len(places), dtype=jnp.int32), small)
    distance = _distances(jax.grad(loss), rows, places, small, size)

    def move(state: Any, key: jax.Array) -> Any:
        found, at, params, learned = state
        value, slope = jax.value_and_grad(distance)(found, params, key)
        step, at = slow.update(slope, at, found)
        found = optax.apply_updates(found, step)
        step, learned = fast.update(jax.grad(loss)(params, found, made), learned, params)
        return (found, at, optax.apply_updates(params, step), learned), value

    def turn(state: Any, key: jax.Array) -> Any:
        start, steps = jax.random.split(key)
        params = draw(start)
        found, values = jax.lax.scan(move, (*state, params, fast.init(params)), jax.random.split(steps, moves))
        return found[:2], jnp.mean(values)

    keys = jax.random.split(run, times)
    (found, _), values = jax.jit(lambda rows: jax.lax.scan(turn, (rows, slow.init(rows)), keys))(begin)
    return Condensed(found, made, values)


def _distances(
    gradient: Callable[..., Any], x: jax.Array, places: list[np.ndarray], small: int, size: int
) -> Callable[[jax.Array, Any, jax.Array], jax.Array]:
    """The distance of the gradients of made-up rows and of drawn ones, added up over classes."""
    # Classes of different sizes share one table; draws are below the size of the class.
    table = np.zeros((len(places), max(map(len, places))), np.int32)
    for label, own in enumerate(places):
        table[label, : len(own)] = own
    tables, sizes = jnp.asarray(table), jnp.asarray([len(own) for own in places])

    def distance(found: jax.Array, params: Any, key: jax.Array) -> jax.Array:
        def one(_: None, item: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[None, jax.Array]:
            label, key, own = item
            drawn = tables[label, jax.random.randint(key, (size,), 0, sizes[label])]
            real = jax.lax.stop_gradient(gradient(params, x[drawn], jnp.full(size, label)))
            return None, gradient_distance(real, gradient(params, own, jnp.full(small, label)))

        # A loop, so that memory holds the activations of one class.
        each = (
            jnp.arange(len(places)),
            jax.random.split(key, len(places)),
            found.reshape(len(places), small, *x.shape[1:]),
        )
        return jnp.sum(jax.lax.scan(one, None, each)[1])

    return distance


def _checked(x: Any, y: Any) -> tuple[jax.Array, list[np.ndarray]]:
    rows, labels = jnp.asarray(x, jnp.float32), np.asarray(y)
    integer = np.issubdtype(labels.dtype, np.integer) and labels.size > 0 and labels.min() >= 0
    if labels.shape != rows.shape[:1] or not integer:
        raise ValueError(
            f"condense: y is {labels.dtype} of shape {labels.shape} for x of shape {rows.shape}; it takes an integer "
            "from 0 for every row"
        )
    bad = ~np.isfinite(np.asarray(rows)).reshape(len(labels), -1).all(1)
    if bad.any():
        raise ValueError(f"condense: row {int(bad.argmax())} has a value that is not finite; drop it")
    places = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    for label, own in enumerate(places):
        if not len(own):
            raise ValueError(f"condense: class {label} has no rows; number the classes from 0 without gaps")
    return rows, places
