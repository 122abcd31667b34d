"""Federations: pure functions that train one model on the data of many clients."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from compressjax.core import Selector, kernels, values
from compressjax.core._settings import as_int
from compressjax.federated._algorithms import Algorithm
from compressjax.federated._messages import MessageBytes, check_ways, message_bytes
from compressjax.federated._rounds import FederatedState, Setup, run_round, start
from compressjax.federated._sums import IntegerSum
from compressjax.gradients._link import Link


class Federation(NamedTuple):
    """Pure functions of a federation.

    Attributes:
        init: `(params, key) -> state`.
        round: `(state, chosen [m], batches [m, steps, ...], weights [m] or None) -> (state, mean loss)`.
        bytes: `(params, m) -> MessageBytes`: what one of `m` clients sends and receives in a round.
    """

    init: Callable[[Any, jax.Array], FederatedState]
    round: Callable[..., tuple[FederatedState, jax.Array]]
    bytes: Callable[[Any, int], MessageBytes]


def federation(
    loss: Callable[[Any, Any], jax.Array], algorithm: Algorithm, clients: int, axis_name: Any = None, *, up: Any = None,
    down: Any = None, feedback: bool | None = None, select: Selector = kernels, at_once: int | None = None,
) -> Federation:  # fmt: skip
    """Returns the functions that train one model on the data of many clients.

    .. math:: x \\leftarrow \\operatorname{server}\\Big(x, \\frac{\\sum_{i \\in S} w_i\\, C(y_i - \\hat x)}
        {\\sum_{i \\in S} w_i}\\Big), \\qquad \\hat x \\leftarrow \\hat x + C'(x - \\hat x)

    Clients of a round run as one `vmap` of one `scan`; with `at_once`, some of them at a time. Under `shard_map` every
    device runs its own: shard the state by `gradients.specs(state, axis_name)`, `chosen`, batches and weights by the
    axis, and choose with `sample_clients(..., devices=)`. What a client did not say is added to its next message.
    What clients have of the server's model lags behind it by what the server did not say, and all of them hear every
    answer.

    Args:
        loss: `(params, batch) -> scalar`.
        algorithm: Such as `fed_avg(0.1)`.
        clients: Number of all clients; divides by the devices.
        axis_name: Mesh axis over which clients are sharded, or a tuple of them; None for one device or plain `jit`.
        up: What clients send: a compressor of `gradients`, `integer_sum(8)`, or None for float32.
        down: What the server sends: a compressor of `gradients`, or None.
        feedback: Whether clients remember what they did not say; by default where the compressor has feedback, and for
            integers with a `clip`.
        select: Leaves to compress; all others travel as they are.
        at_once: Clients that train at the same time; None for all of a round.

    Returns:
        The functions.

    Raises:
        ValueError: If an argument is of another kind; from `round`, if SCAFFOLD gets weights.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.federated import fed_avg
        >>> fed = federation(lambda p, x: jnp.mean((p["x"] - x) ** 2), fed_avg(0.5), clients=2)
        >>> state = fed.init({"x": jnp.zeros(())}, jax.random.key(0))
        >>> state, _ = fed.round(state, jnp.arange(2), jnp.array([[1.0], [3.0]]))
        >>> float(state.params["x"])
        2.0

    Source: McMahan et al., arXiv:1602.05629 (mcmahan2017).
    """
    check_ways(up, down)
    clients = as_int("federation", "clients", clients)
    if clients < 1:
        raise ValueError(f"federation: clients={clients} must be at least 1")
    remembers = _has_feedback(up) if feedback is None else bool(feedback)
    setup = Setup(loss, algorithm, clients, Link(axis_name), up, down, remembers, select, at_once)

    def sizes(params: Any, count: int) -> MessageBytes:
        found, sent, received = values(params), 0, 0
        ways = setup.ways(found)
        for path, x in found.items():
            some = path in ways.chosen
            sent += message_bytes(up if some else None, x.shape, count)
            received += message_bytes(down if some else None, x.shape)
            received += message_bytes(None, x.shape) if algorithm.control is not None else 0
        return MessageBytes(sent, received)

    return Federation(functools.partial(start, setup), functools.partial(run_round, setup), sizes)


def _has_feedback(up: Any) -> bool:
    if isinstance(up, IntegerSum):
        return up.clip is not None
    return up is not None and up.feedback != "none"
