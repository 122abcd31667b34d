"""Regression and classification on pairs of features, with one vector for every feature."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import as_number, integers
from compressjax.data._reducer import Reads
from compressjax.data.sources._batches import batch_of

_HIGH = jax.lax.Precision.HIGHEST
LOSSES = ("squared", "logistic")


class FactorizationMachine(NamedTuple):
    """The function `bias + x @ weights + sum_{i<j} <v_i, v_j> x_i x_j`.

    Attributes:
        bias: A number.
        weights: `[features]`.
        factors: `[features, k]`, the rows `v_i`.
    """

    bias: jax.Array
    weights: jax.Array
    factors: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """The sums `[n, k]` of the vectors of a row's features."""
        return jnp.matmul(jnp.asarray(x, jnp.float32), self.factors, precision=_HIGH)

    def predict(self, x: Any) -> jax.Array:
        """Predictions `[n]`: numbers, or logits."""
        rows = jnp.asarray(x, jnp.float32)
        squares = jnp.sum(jnp.matmul(rows**2, self.factors**2, precision=_HIGH), axis=1)
        pairs = (jnp.sum(self.transform(rows) ** 2, axis=1) - squares) / 2
        return self.bias + jnp.matmul(rows, self.weights, precision=_HIGH) + pairs


def factorization_machine(
    x: Any, y: Any, components: int, key: jax.Array, *, loss: str = "squared", ridge: float = 1e-4,
    optimizer: optax.GradientTransformation | None = None, steps: int = 500,
) -> FactorizationMachine:  # fmt: skip
    """Trains a factorization machine on rows in memory, by full gradients.

    .. math:: \\hat y(x) = w_0 + w^\\top x + \\tfrac12 \\sum_f
        \\Big(\\big(\\sum_i v_{if} x_i\\big)^2 - \\sum_i v_{if}^2 x_i^2\\Big)

    The interactions of all pairs take `features * k` operations. On rows that mark a user and an item, it is matrix
    factorization with biases.

    Args:
        x: `[n, features]`.
        y: `[n]`: numbers, or 0 and 1 for the logistic loss.
        components: `k`, at least 1.
        key: Random key of the start.
        loss: "squared" or "logistic".
        ridge: Weight of the squared parameters, the bias excepted; at least 0.
        optimizer: Adam with the rate 0.05 if None.
        steps: At least 1.

    Returns:
        `FactorizationMachine`.

    Raises:
        ValueError: If an argument is out of range, or a value is not finite: its row and column are named.

    Example:
        >>> x = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> found = factorization_machine(x, x[:, 0] * x[:, 1], 1, jax.random.key(0))
        >>> found.predict(x).round(1).tolist()
        [1.0, -1.0, -1.0, 1.0]

    Source: Rendle, ICDM 2010.
    """
    k, most = integers("factorization_machine", components=components, steps=steps)
    if k < 1 or most < 1 or as_number("factorization_machine", "ridge", ridge) < 0 or loss not in LOSSES:
        raise ValueError(f"factorization_machine: components={k} and steps={most} must be at least 1, ridge={ridge} at "
                         f"least 0, and loss={loss!r} one of {LOSSES}")  # fmt: skip
    reads = Reads("numbers") if loss == LOSSES[0] else Reads("classes", classes=2)
    rows, labels = batch_of("factorization_machine", (x, y), 0, reads)
    first = FactorizationMachine(
        jnp.zeros(()), jnp.zeros(rows.shape[1]), 0.1 * jax.random.normal(key, (rows.shape[1], k))
    )
    step = functools.partial(_value, loss == LOSSES[0], float(ridge))
    return trained(step, first, optimizer or optax.adam(0.05), most, rows.astype(jnp.float32), labels)


def _value(squared: bool, ridge: float, model: FactorizationMachine, x: jax.Array, y: jax.Array) -> jax.Array:
    found = model.predict(x)
    errors = (found - y) ** 2 if squared else optax.sigmoid_binary_cross_entropy(found, y.astype(jnp.float32))
    return jnp.mean(errors) + ridge * (jnp.sum(model.weights**2) + jnp.sum(model.factors**2))


def trained(
    value: Callable[..., jax.Array], first: Any, optimizer: optax.GradientTransformation, steps: int, *data: jax.Array
) -> Any:
    """Parameters after some steps of an optimizer on `value(parameters, *data)`."""

    def step(state: Any, _: Any) -> Any:
        params, inner = state
        updates, inner = optimizer.update(jax.grad(value)(params, *data), inner, params)
        return (optax.apply_updates(params, updates), inner), None

    run = jax.jit(lambda first: jax.lax.scan(step, (first, optimizer.init(first)), length=steps)[0][0])
    return run(first)
