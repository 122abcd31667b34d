"""One round: local training of the clients, messages to the server, its step, and its answer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Selector, matches, values, with_values
from compressjax.federated._algorithms import Algorithm
from compressjax.federated._local import train_alone
from compressjax.federated._messages import Ways, send_sum
from compressjax.gradients import Compressor, PerWorker
from compressjax.gradients._compressor import Draw
from compressjax.gradients._link import Link
from compressjax.numerics._keys import key_data, stream

Leaves = dict[str, jax.Array]


class FederatedState(NamedTuple):
    """State of a federation.

    Attributes:
        round: Number of rounds so far.
        key: Data of the key of the run.
        params: The model of the server.
        seen: What clients have of it, where the server compresses what it sends.
        server: State of the server's optimizer.
        control: The server's control variate.
        down: States of the compressor of the server.
        clients: What every client keeps from round to round; the first axis is for all clients.
    """

    round: jax.Array
    key: jax.Array
    params: Any
    seen: Leaves
    server: Any
    control: Leaves
    down: dict[str, Any]
    clients: PerWorker


class Setup(NamedTuple):
    """The arguments of `federation`."""

    loss: Callable[[Any, Any], jax.Array]
    algorithm: Algorithm
    clients: int
    link: Link
    up: Any
    down: Any
    remembers: bool
    select: Selector
    at_once: int | None

    def ways(self, found: Leaves) -> Ways:
        """How the leaves of a model are sent."""
        chosen = frozenset(path for path, x in found.items() if matches(self.select, path, x))
        if (self.up is not None or self.down is not None) and not chosen:
            raise ValueError(f"federation: select={self.select!r} matches no leaf; the leaves are {list(found)[:8]}")
        return Ways(self.up, self.down, self.remembers, chosen)


def start(setup: Setup, params: Any, key: jax.Array) -> FederatedState:
    """The state before the first round."""
    found = {path: jnp.array(x) for path, x in values(params).items()}
    ways, data, down = setup.ways(found), key_data(key), setup.down
    zeros = {path: jnp.zeros(x.shape, jnp.float32) for path, x in found.items()}
    control = zeros if setup.algorithm.control is not None else {}
    kept = {path: _kept(ways, path, x, stream(data, path)) for path, x in zeros.items()}
    own = jax.tree.map(lambda x: jnp.repeat(x[None], setup.clients, 0), {"control": control, "sent": kept})
    answers = {} if down is None else {path: down.init(zeros[path].shape, stream(data, path)) for path in ways.chosen}
    return FederatedState(
        jnp.zeros((), jnp.int32), data, jax.tree.map(jnp.array, params), {path: found[path] for path in answers},
        setup.algorithm.server.init(found), jax.tree.map(jnp.array, control), answers, PerWorker(own),
    )  # fmt: skip


def run_round(
    setup: Setup, state: FederatedState, chosen: jax.Array, batches: Any, weights: Any = None
) -> tuple[FederatedState, jax.Array]:
    """The state after a round, and the mean loss of the local steps."""
    algorithm, link = setup.algorithm, setup.link
    if weights is not None and algorithm.control is not None:
        raise ValueError(f"{algorithm.name}: all clients weigh the same; leave weights out")
    found, steps = values(state.params), jax.tree.leaves(batches)[0].shape[1]
    places = chosen - link.place() * (setup.clients // link.size())
    own = jax.tree.map(lambda x: x[places], state.clients.tree)
    changes, losses = _train(setup, state, {**found, **state.seen}, own["control"], batches)
    factor = jnp.ones(len(chosen)) if weights is None else jnp.asarray(weights, jnp.float32)
    whole = link.sum(factor.sum())
    said, mean, sent = _send(setup, state, chosen, changes, factor, own["sent"])
    control, server_control = own["control"], state.control
    if algorithm.control is not None:
        drift = jax.tree.map(lambda x: x / (algorithm.control * steps), said)
        control = {path: c - state.control[path][None] - drift[path] for path, c in control.items()}
        share = whole / setup.clients
        server_control = {
            path: c - share * (c + mean[path] / whole / (algorithm.control * steps))
            for path, c in state.control.items()
        }
    grads = {path: (-x / whole).astype(found[path].dtype) for path, x in mean.items()}
    updates, server = algorithm.server.update(grads, state.server, found)
    after = optax.apply_updates(found, updates)
    seen, answers = _answer(setup.down, state, after)
    new = {"control": control, "sent": sent}
    kept = jax.tree.map(lambda x, y: x.at[places].set(y), state.clients.tree, new)
    params = with_values(state.params, after)
    done = FederatedState(
        state.round + 1, state.key, params, seen, server, server_control, answers, PerWorker(kept)
    )  # fmt: skip
    return done, link.mean(losses.mean())


def _kept(ways: Ways, path: str, zeros: jax.Array, key: jax.Array) -> dict[str, Any]:
    """What a client keeps of one leaf between rounds."""
    if ways.up is None or path not in ways.chosen:
        return {}
    codec = ways.up.init(zeros.shape, key) if isinstance(ways.up, Compressor) else ()
    return {"codec": codec, **({"memory": zeros} if ways.remembers else {})}


def _train(
    setup: Setup, state: FederatedState, anchor: Leaves, control: Leaves, batches: Any
) -> tuple[Leaves, jax.Array]:
    """Changes `[m, ...]` of the models of all clients of a round, and their losses."""

    def alone(given: tuple[Leaves, Any]) -> tuple[Leaves, jax.Array]:
        shift = {path: state.control[path] - c for path, c in given[0].items()}

        def loss(flat: Leaves, batch: Any) -> jax.Array:
            return setup.loss(with_values(state.params, flat), batch)

        return train_alone(loss, setup.algorithm, anchor, shift, given[1])

    if setup.at_once is None:
        return jax.vmap(alone)((control, batches))
    return jax.lax.map(alone, (control, batches), batch_size=setup.at_once)


def _send(
    setup: Setup, state: FederatedState, chosen: jax.Array, changes: Leaves, factor: jax.Array, sent: dict[str, Any]
) -> tuple[Leaves, Leaves, dict[str, Any]]:
    """What clients say, its sum over all clients, and what they keep."""
    ways, said, total, kept = setup.ways(values(state.params)), {}, {}, {}
    for path, x in changes.items():
        key = stream(state.key, path, state.round + 1)
        keys = jax.vmap(lambda client, key=key: jax.random.fold_in(key, client))(chosen)
        draws = Draw(stream(state.key, path), keys, state.round)
        x = x * factor.reshape(-1, *[1] * (x.ndim - 1))
        said[path], total[path], kept[path] = send_sum(ways, path, x, sent[path], draws, setup.link)
    return said, total, kept


def _answer(down: Any, state: FederatedState, after: Leaves) -> tuple[Leaves, dict[str, Any]]:
    """What clients have of the model after the server's message, and the states of its compressor."""
    seen, codecs = dict(state.seen), dict(state.down)
    for path, had in state.seen.items():
        draw = Draw(stream(state.key, path), stream(state.key, f"answer/{path}", state.round + 1), state.round)
        lag = (after[path] - had).astype(jnp.float32)
        _, said, codecs[path] = down.exchange(lag, codecs[path], draw, Link())
        seen[path] = had + said.astype(had.dtype)
    return seen, codecs
