"""Rows of clients: a split with other shares of the classes in each, and rows of the steps of a round."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.numerics._keys import key_data

TRIES = 100


class Clients(NamedTuple):
    """Which rows of a data set are whose.

    Attributes:
        rows: `[clients, most]`, the rows of each client, then repeats of its rows.
        sizes: `[clients]`, how many are its own.
    """

    rows: jax.Array
    sizes: jax.Array


def dirichlet_split(labels: Any, clients: int, alpha: float, key: jax.Array, *, least: int = 1) -> Clients:
    """Returns a split of all rows in which every class is spread over the clients by a Dirichlet draw.

    .. math:: (p_{k1}, \\dots, p_{kN}) \\sim \\operatorname{Dir}(\\alpha, \\dots, \\alpha) \\quad \\text{for all } k

    A small `alpha` gives a class to few clients, a large one to all alike.

    Args:
        labels: Class of every row, `[n]`, concrete integers.
        clients: Number of clients `N`, at least 1.
        alpha: Concentration, above 0; 0.1 is far from alike.
        key: PRNG key.
        least: Rows that every client must have, at least 1; splits are drawn anew until it holds.

    Returns:
        The rows of the clients: every row belongs to one.

    Raises:
        ValueError: If an argument is out of range, or no split of 100 gives every client enough rows.

    Example:
        >>> split = dirichlet_split([0, 0, 1, 1, 1, 1], 2, 10.0, jax.random.key(0))
        >>> int(split.sizes.sum())
        6

    Source: Yurochkin et al., arXiv:1905.12022 (yurochkin2019).
    """
    clients, least = as_int("dirichlet_split", "clients", clients), as_int("dirichlet_split", "least", least)
    alpha, labels = as_number("dirichlet_split", "alpha", alpha), np.asarray(labels)
    if clients < 1 or least < 1 or not alpha > 0:
        raise ValueError(f"dirichlet_split: clients={clients} and least={least} must be at least 1, {alpha=} above 0")
    if labels.ndim != 1 or clients * least > labels.size:
        raise ValueError(f"dirichlet_split: labels{[*labels.shape]} cannot give {clients} clients {least} rows each; "
                         "pass [n] classes, or lower clients or least")  # fmt: skip
    classes, owned = np.unique(labels, return_inverse=True)
    draw = np.random.default_rng(np.asarray(key_data(key)))  # on the host, where nothing is compiled
    for _ in range(TRIES):
        shares, order = draw.dirichlet(np.full(clients, alpha), len(classes)), draw.permutation(labels.size)
        parts: list[list[np.ndarray]] = [[] for _ in range(clients)]
        for k, share in enumerate(shares):
            rows = order[owned[order] == k]
            ends = np.rint(np.cumsum(share)[:-1] * len(rows)).astype(int)
            for part, chosen in zip(parts, np.split(rows, ends), strict=True):
                part.append(chosen)
        found = [np.concatenate(part) for part in parts]
        if min(map(len, found)) >= least:
            most = max(map(len, found))
            table = np.stack([np.resize(part, most) for part in found])
            return Clients(jnp.asarray(table, jnp.int32), jnp.asarray([len(part) for part in found], jnp.int32))
    raise ValueError(f"dirichlet_split: no split of {TRIES} gives all {clients} clients {least} rows at {alpha=}; "
                     "lower clients or least, or raise alpha")  # fmt: skip


def draw_rows(split: Clients, chosen: jax.Array, key: jax.Array, steps: int, batch: int) -> jax.Array:
    """Returns random rows of some clients, with replacement, for the steps of a round.

    .. math:: r_{ckb} \\sim U(R_c)

    Args:
        split: The rows of all clients.
        chosen: Numbers of the clients, `[m]`.
        key: PRNG key; a client draws the same rows, whoever else takes part.
        steps: Local steps.
        batch: Rows of a step.

    Returns:
        `[m, steps, batch]`.

    Example:
        >>> split = Clients(jnp.array([[0, 1], [2, 2]]), jnp.array([2, 1]))
        >>> draw_rows(split, jnp.array([1]), jax.random.key(0), 1, 3).tolist()
        [[[2, 2, 2]]]
    """
    keys = jax.vmap(lambda c: jax.random.fold_in(key, c))(chosen)
    sizes = split.sizes[chosen]
    places = jax.vmap(lambda k, n: jax.random.randint(k, (steps, batch), 0, n))(keys, sizes)
    return jax.vmap(lambda rows, at: rows[at])(split.rows[chosen], places)


def sample_clients(key: jax.Array, clients: int, count: int, devices: int = 1) -> jax.Array:
    """Returns the clients that take part in a round, without repeats, the same number of every device's clients.

    .. math:: S \\sim U\\{S \\subseteq [N] : |S| = m\\}

    Args:
        key: PRNG key.
        clients: Number of all clients.
        count: Number `m` of those that take part.
        devices: Devices over which clients are sharded; each has a block of them.

    Returns:
        `[count]`, the clients of the first device first.

    Raises:
        ValueError: If `count` is not from 1 to `clients`, or devices do not divide both.

    Example:
        >>> sample_clients(jax.random.key(0), 4, 4).tolist()
        [0, 1, 2, 3]
    """
    if not 1 <= count <= clients or clients % devices or count % devices:
        raise ValueError(f"sample_clients: {count=} must be from 1 to {clients=}, and {devices=} must divide both")
    held = clients // devices
    drawn = jax.vmap(lambda k: jnp.sort(jax.random.permutation(k, held)[: count // devices]))
    return (drawn(jax.random.split(key, devices)) + held * jnp.arange(devices)[:, None]).reshape(-1)
