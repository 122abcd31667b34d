"""Messages of clients and server: what they say, what is not yet said, and how long they are."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._checks import described
from compressjax.federated._sums import IntegerSum, to_integers
from compressjax.gradients import Compressor
from compressjax.gradients._compressor import Draw
from compressjax.gradients._link import Link


class MessageBytes(NamedTuple):
    """Bytes of one client in one round.

    Attributes:
        up: What it sends.
        down: What it receives.
    """

    up: int
    down: int


class Ways(NamedTuple):
    """How clients and server send the chosen leaves; all others travel as they are."""

    up: Compressor | IntegerSum | None
    down: Compressor | None
    remembers: bool  # whether clients add to a message what earlier ones did not say
    chosen: frozenset[str]


def check_ways(up: Any, down: Any) -> None:
    """Refuses what is no way to send."""
    if not (up is None or isinstance(up, Compressor | IntegerSum)):
        raise ValueError(f"federation: up is {described(up)}; pass a compressor, integer_sum(8), or None")
    if not (down is None or isinstance(down, Compressor)):
        raise ValueError(f"federation: down is {described(down)}; pass a compressor, such as top_k(0.1), or None")


def send_sum(
    ways: Ways, path: str, x: jax.Array, held: Any, draws: Draw, link: Link
) -> tuple[jax.Array, jax.Array, Any]:
    """What `m` clients say of one leaf `[m, ...]`, its sum over all clients, and their memories and codecs after it."""
    if ways.up is None or path not in ways.chosen:
        return x, link.sum(x.sum(0)), held
    meant = x + held["memory"] if "memory" in held else x
    if isinstance(ways.up, IntegerSum):
        kind = ways.up
        # The largest magnitude makes a scale that is never 0; zeros stay zeros at any scale.
        top = kind.clip or jnp.maximum(link.most(jnp.max(jnp.abs(meant))), jnp.finfo(jnp.float32).tiny * kind.levels)
        codes = jax.vmap(lambda one, key: to_integers(kind, one, top, key))(meant, draws.key)
        said = codes.astype(jnp.float32) * (top / kind.levels)
        total, codec = link.sum(codes.sum(0)).astype(jnp.float32) * (top / kind.levels), ()
    else:
        compressor = ways.up

        def say(one: jax.Array, codec: Any, key: jax.Array) -> tuple[jax.Array, Any]:
            own, _, codec = compressor.exchange(one, codec, draws._replace(key=key), Link())
            return own, codec

        said, codec = jax.vmap(say)(meant, held["codec"], draws.key)
        total = link.sum(said.sum(0))
    memory = {"memory": meant - said} if "memory" in held else {}
    return said, total, {**memory, "codec": codec}


def message_bytes(kind: Any, shape: tuple[int, ...], clients: int = 1) -> int:
    """Returns the bytes of one message about one float32 leaf.

    .. math:: B = \\sum_{parts} \\text{entries} \\cdot \\text{bytes an entry}

    Shapes and types are those of the parts that the compressor hands to its collectives; nothing runs.

    Args:
        kind: A compressor, `integer_sum(...)`, or None for float32.
        shape: Shape of the leaf.
        clients: Clients whose integers are added up; integers of a sum need room for all of them.

    Returns:
        Number of bytes.

    Example:
        >>> from compressjax.gradients import top_k
        >>> from compressjax.federated import integer_sum
        >>> message_bytes(None, (100,)), message_bytes(top_k(0.1), (100,)), message_bytes(integer_sum(4), (100,), 10)
        (400, 80, 104)
    """
    size = math.prod(shape)
    if kind is None:
        return 4 * size
    if isinstance(kind, IntegerSum):
        return math.ceil(size * kind.width(clients) / 8) + (4 if kind.clip is None else 0)
    tally: list[int] = []

    def run(x: jax.Array, run: jax.Array, key: jax.Array) -> Any:
        draw = Draw(run, key, jnp.zeros((), jnp.int32))
        return kind.exchange(x, kind.init(shape, run), draw, _Tally(tally))

    key = jax.random.key(0)
    jax.eval_shape(run, jax.ShapeDtypeStruct(shape, jnp.float32), key, key)
    return sum(tally)


class _Tally(Link):
    """One worker that notes the bytes of what it sends; what follows a swap is the answer, and does not count."""

    def __new__(cls, tally: list[int]) -> "_Tally":
        made = super().__new__(cls)
        made.tally, made.swapped = tally, False
        return made

    tally: list[int]
    swapped: bool

    def _note(self, tree: Any) -> None:
        if not self.swapped:
            self.tally += [x.size * x.dtype.itemsize for x in jax.tree.leaves(tree)]

    def mean(self, tree: Any) -> Any:
        self._note(tree)
        return tree

    def gather(self, tree: Any) -> Any:
        self._note(tree)
        return super().gather(tree)

    def swap(self, tree: Any) -> Any:
        self._note(tree)
        self.swapped = True
        return tree
