"""Splits networks into sub-networks: weights that are block-diagonal under a learned permutation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.tensors import BlockDiagonal


def _balanced(gain: np.ndarray) -> np.ndarray:
    """Assigns rows to blocks of equal size for a large total gain: greedily by regret, then by swaps of two rows."""
    rows, blocks = gain.shape
    room = np.full(blocks, rows // blocks)
    place = np.full(rows, -1)
    for row in np.argsort(-(np.sort(gain, 1)[:, -1] - np.median(gain, 1)), kind="stable"):
        open_gain = np.where(room > 0, gain[row], -np.inf)
        place[row] = int(open_gain.argmax())
        room[place[row]] -= 1
    for _ in range(rows):
        own = gain[np.arange(rows), place]
        moved = gain[:, place]  # gain of row i in the block of row j
        profit = moved + moved.T - own[:, None] - own[None]
        i, j = np.unravel_index(profit.argmax(), profit.shape)
        if profit[i, j] <= 1e-12 * max(1.0, float(gain.max())):
            break
        place[i], place[j] = place[j], place[i]
    return place


def _spectral(squares: np.ndarray, blocks: int) -> np.ndarray:
    """Initial blocks of outputs, clustered by their leading singular vectors around distant columns."""
    scale = [1 / np.sqrt(np.maximum(squares.sum(axis), 1e-30)) for axis in (1, 0)]
    _, _, right = np.linalg.svd(squares * scale[0][:, None] * scale[1][None], full_matrices=False)
    points = (right[:blocks] * scale[1]).T
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-30)
    centers = points[:1]
    for _ in range(blocks - 1):
        likeness = np.abs(points @ centers.T).max(1)
        centers = np.concatenate([centers, points[likeness.argmin()][None]])
    return np.asarray((points @ centers.T).argmax(1))


def _members(place: np.ndarray, blocks: int) -> np.ndarray:
    return np.stack([np.flatnonzero(place == b) for b in range(blocks)]).astype(np.min_scalar_type(len(place) - 1))


def split(
    weight: Any, blocks: int, *, key: jax.Array, restarts: int = 8, rounds: int = 50
) -> tuple[BlockDiagonal, Mapping]:
    """Permutes inputs and outputs to move most of a matrix into diagonal blocks, and drops the rest.

    .. math:: \\max_{P, Q} \\sum_b \\sum_{i \\in P_b, o \\in Q_b} w_{io}^2

    Alternates between assigning inputs and outputs to blocks of equal size until nothing changes, from one spectral
    and several random starts. The search runs on the host, with n^2 memory and at worst n^3 time for n units.

    Takes `1 / blocks` of the bytes, plus indices. With `lift`, at 64 rows of four products of 1024 units, 2 blocks are
    1.62 and 8 blocks 3.25 times faster than dense (`configs/bench_splitting.py`, docs/results.md).

    Args:
        weight: `[in, out]`.
        blocks: Number of blocks; divides both sides.
        key: Key of the random starts.
        restarts: Number of starts, at least 1.
        rounds: Maximum number of alternations per start.

    Returns:
        The node, and `{"kept": share of the squared norm}`.

    Raises:
        ValueError: If the number of blocks does not divide both sides, or there is no start.

    Example:
        >>> w = jnp.array([[1.0, 0.0], [0.0, 2.0]])[:, ::-1]
        >>> node, info = split(w, 2, key=jax.random.key(0))
        >>> info["kept"], node.blocks.shape
        (1.0, (2, 1, 1))

    Source: Kim et al., SplitNet: Learning to Semantically Split Deep Networks, 2017 (kim2017).
    """
    squares = np.square(np.asarray(weight, np.float64))
    fan_in, fan_out = squares.shape
    if blocks < 1 or fan_in % blocks or fan_out % blocks:
        raise ValueError(f"blocks={blocks} does not divide both sides of {squares.shape}; choose a common divisor")
    starts = []
    for number, start in enumerate(jax.random.split(key, restarts)):
        outs = np.asarray(jax.random.permutation(start, fan_out)) % blocks if number else _spectral(squares, blocks)
        starts.append([np.zeros(fan_in, int), outs])  # zeros are ignored: the search assigns inputs first
    places = _best([squares], starts, blocks, rounds)
    return _built([weight], places, blocks)[0], {"kept": _kept([squares], places)}


class Assignment(NamedTuple):
    """Soft assignments of units to blocks, learned in training.

    Attributes:
        logits: `[units, blocks]` for every layer of units; the softmax of a row is the block of the unit.
    """

    logits: tuple[jax.Array, ...]


def assignment(widths: Sequence[int], blocks: int, key: jax.Array, *, scale: float = 0.1) -> Assignment:
    """Returns random soft assignments for a chain of layers.

    Args:
        widths: Number of units of each layer, including inputs and outputs.
        blocks: Number of blocks, at least 1.
        key: Random key.
        scale: Standard deviation of the logits.

    Returns:
        The assignment.

    Example:
        >>> [x.shape for x in assignment((4, 6), 2, jax.random.key(0)).logits]
        [(4, 2), (6, 2)]
    """
    keys = jax.random.split(key, len(widths))
    return Assignment(tuple(scale * jax.random.normal(k, (n, blocks)) for k, n in zip(keys, widths, strict=True)))


def split_penalty(
    weights: Sequence[jax.Array], assigned: Assignment, *, overlap: float = 1.0, balance: float = 1.0,
    certainty: float = 1.0,
) -> jax.Array:  # fmt: skip
    """Returns a penalty that makes weights block-diagonal while training learns the assignment of units.

    .. math:: R = a \\frac{\\sum_l \\sum_{io} w_{io}^2 (1 - p_i \\cdot q_o)}{\\sum_l \\|w_l\\|^2}
        + c \\, \\mathrm{mean}\\, H(p) + b \\sum_{l, b} \\big( \\bar p_{lb} - 1/B \\big)^2

    with softmax rows p of the inputs and q of the outputs of a weight. The terms penalize weights between blocks,
    uncertain assignments, and blocks of unequal size.

    Args:
        weights: Matrices `[in, out]` of a chain of layers.
        assigned: Soft assignments of the units; one layer more than weights.
        overlap: Factor a.
        balance: Factor b.
        certainty: Factor c.

    Returns:
        The penalty, a scalar of at least 0.

    Raises:
        ValueError: If the number of layers does not match.

    Example:
        >>> sure = Assignment((10.0 * jnp.eye(2), 10.0 * jnp.eye(2)))
        >>> bool(split_penalty([jnp.eye(2)], sure) < split_penalty([jnp.ones((2, 2))], sure))
        True

    Source: after Kim et al., SplitNet, 2017 (kim2017): their group assignments and balance term, on squared weights.
    """
    if len(assigned.logits) != len(weights) + 1:
        raise ValueError(f"{len(weights)} weights join {len(weights) + 1} layers of units, but {len(assigned.logits)} "
                         "assignments were given; create them with assignment(widths, ...)")  # fmt: skip
    soft = [jax.nn.softmax(x, axis=-1) for x in assigned.logits]
    crossing = sum(jnp.sum(w**2 * (1 - p @ q.T)) for w, p, q in zip(weights, soft, soft[1:], strict=False))
    total = sum(jnp.sum(w**2) for w in weights) + 1e-12
    entropy = sum(-jnp.sum(p * jnp.log(p + 1e-12), -1).mean() for p in soft) / len(soft)
    sizes = sum(jnp.sum((p.mean(0) - 1 / p.shape[1]) ** 2) for p in soft)
    return jnp.asarray(overlap * crossing / total + certainty * entropy + balance * sizes)


def split_chain(
    weights: Sequence[Any], blocks: int, *, key: jax.Array, restarts: int = 8, assigned: Assignment | None = None
) -> tuple[list[BlockDiagonal], Mapping]:
    """Splits a chain of layers into sub-networks; a unit between two layers has the same block in both.

    .. math:: \\max \\sum_l \\sum_{io} w_{l,io}^2 \\, [\\, g_l(i) = g_{l+1}(o) \\,]

    Assigns one layer of units at a time, given its neighbors, until nothing changes. Size and speed per matrix are as
    for `split`.

    Args:
        weights: Matrices `[in, out]` in order; the output of each is the input of the next.
        blocks: Number of sub-networks; divides all widths.
        key: Key of the random starts.
        restarts: Number of random starts; at least 1 without `assigned`.
        assigned: Assignments learned with `split_penalty`, as one more start, balanced to equal sizes.

    Returns:
        One node per matrix, and `{"kept": share of the squared norm, "blocks": [units of each layer]}`. Elementwise
        nonlinearities between the layers are possible.

    Raises:
        ValueError: If widths do not match each other or the assignment, the number of blocks does not divide them, or
            there is no start.

    Example:
        >>> found, info = split_chain([jnp.eye(4), jnp.eye(4)], 2, key=jax.random.key(0))
        >>> round(info["kept"], 3), [node.blocks.shape for node in found]
        (1.0, [(2, 2, 2), (2, 2, 2)])

    Source: Kim et al., SplitNet, 2017 (kim2017).
    """
    squares = [np.square(np.asarray(w, np.float64)) for w in weights]
    widths = [squares[0].shape[0], *(s.shape[1] for s in squares)]
    if any(s.shape[0] != n for s, n in zip(squares, widths)):
        raise ValueError(f"shapes {[s.shape for s in squares]} are not a chain: each output must be the next input")
    if blocks < 1 or any(n % blocks for n in widths):
        raise ValueError(f"blocks={blocks} does not divide all widths {widths}; choose a common divisor")
    starts = [_drawn(widths, blocks, start) for start in jax.random.split(key, restarts)]
    if assigned is not None:
        shapes, wanted = [tuple(x.shape) for x in assigned.logits], [(n, blocks) for n in widths]
        if shapes != wanted:
            raise ValueError(f"the assignment has shapes {shapes}; this chain in {blocks} blocks needs {wanted}")
        starts.append([_balanced(np.asarray(x, np.float64)) for x in assigned.logits])
    places = _best(squares, starts, blocks, rounds=50)
    info = {"kept": _kept(squares, places), "blocks": [_members(place, blocks) for place in places]}
    return _built(weights, places, blocks), info


def _drawn(widths: Sequence[int], blocks: int, key: jax.Array) -> list[np.ndarray]:
    keys = jax.random.split(key, len(widths))
    return [np.asarray(jax.random.permutation(k, n)) % blocks for k, n in zip(keys, widths, strict=True)]


def _best(
    squares: Sequence[np.ndarray], starts: Sequence[Sequence[np.ndarray]], blocks: int, rounds: int
) -> list[np.ndarray]:
    """The block of every unit of every layer, from the start that keeps the largest squared norm."""
    if not starts:
        raise ValueError("restarts=0: there is no start; give at least 1")
    found = [_descend(squares, start, blocks, rounds) for start in starts]
    return max(found, key=lambda places: _kept(squares, places))


def _descend(squares: Sequence[np.ndarray], start: Sequence[np.ndarray], blocks: int, rounds: int) -> list[np.ndarray]:
    """Assigns one layer of units at a time, given its neighbors, until nothing changes."""
    places, before = list(start), -1.0
    for _ in range(rounds):
        for layer, place in enumerate(places):
            gain = np.zeros((len(place), blocks))
            if layer:
                gain += squares[layer - 1].T @ np.eye(blocks)[places[layer - 1]]
            if layer < len(squares):
                gain += squares[layer] @ np.eye(blocks)[places[layer + 1]]
            places[layer] = _balanced(gain)
        kept = _kept(squares, places)
        if kept <= before * (1 + 1e-12):
            break
        before = kept
    return places


def _kept(squares: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> float:
    """The share of the squared norm inside the blocks."""
    inside = sum(float((s * (p[:, None] == q[None])).sum()) for s, p, q in zip(squares, places, places[1:]))
    return inside / max(float(sum(s.sum() for s in squares)), 1e-30)


def _built(weights: Sequence[Any], places: Sequence[np.ndarray], blocks: int) -> list[BlockDiagonal]:
    units = [_members(place, blocks) for place in places]
    rows = zip(weights, units, units[1:])
    return [BlockDiagonal(jnp.asarray(w)[i[:, :, None], o[:, None, :]], i, o) for w, i, o in rows]
