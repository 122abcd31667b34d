"""BinaryConnect: the forward pass multiplies with signs, the optimizer moves weights in [-1, 1]."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values
from compressjax.numerics._keys import key_data, stream
from compressjax.numerics._numerics import straight_through
from compressjax.tensors import Codebook

Arrays = dict[str, jax.Array]


class BinaryConnectState(NamedTuple):
    """State of `binary_connect`: `count`, steps done, int32 scalar, and `key`, or None for signs."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    key: jax.Array | None


def binary_connect(key: jax.Array | None = None) -> Compression:
    """Trains weights through their signs, and clips them to [-1, 1] after every step.

    .. math:: \\hat W = sign(W), \\quad\\text{or}\\quad P(\\hat W = 1) = clip((W + 1) / 2, 0, 1), \\qquad
        W \\leftarrow clip(W - \\eta g, -1, 1)

    Gradients pass straight through. There is no scale, so a norm has to follow the layer. Takes 1 bit a weight; no
    speed-up.

    Args:
        key: None for signs. With a random key, the signs are drawn anew at every step, and what is encoded is the draw
            of the last step.

    Returns:
        Compression whose nodes are `Codebook`, with the table -1, 1.

    Example:
        >>> method = binary_connect()
        >>> params = {"kernel": jnp.array([[0.2, -3.0]])}
        >>> params, state = method.after_step(params, method.init(params))
        >>> method.view(params, state)["kernel"].tolist(), params["kernel"].tolist()
        ([[1.0, -1.0]], [[0.20000000298023224, -1.0]])

    Source: Courbariaux et al., arXiv:1511.00363 (courbariaux2015).
    """

    def signs(flat: Arrays, state: BinaryConnectState) -> dict[str, Codebook]:
        nodes = {}
        for path, x in flat.items():
            if state.key is None:
                up = x >= 0
            else:
                up = jax.random.uniform(stream(state.key, path, state.count), x.shape) < (x.astype(jnp.float32) + 1) / 2
            nodes[path] = Codebook(jnp.array([-1.0, 1.0], x.dtype), up.astype(jnp.uint8))
        return nodes

    def init(flat: Arrays) -> BinaryConnectState:
        return BinaryConnectState(jnp.zeros((), jnp.int32), None if key is None else jnp.copy(key_data(key)))

    def view(flat: Arrays, state: BinaryConnectState) -> Arrays:
        return {path: straight_through(flat[path], node.materialize()) for path, node in signs(flat, state).items()}

    def after_step(flat: Arrays, state: BinaryConnectState, stats: Any) -> tuple[Arrays, BinaryConnectState]:
        return {path: jnp.clip(x, -1.0, 1.0) for path, x in flat.items()}, state._replace(count=state.count + 1)

    name = f"binary_connect({'signs' if key is None else 'draws'})"
    return on_values(name, init=init, view=view, encode=signs, after_step=after_step, learns=True)
