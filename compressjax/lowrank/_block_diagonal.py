"""The nearest block-diagonal matrix, as it stands or after a search for permutations."""

import math
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from compressjax.core import Compression
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._rank import known
from compressjax.lowrank._restructure import Form, Sizes, restructured
from compressjax.tensors import BlockDiagonal

ROUNDS = 20


def block_diagonal(blocks: int, *, order: str = "natural") -> Compression:
    """Keeps the entries of a kernel that lie in diagonal blocks, and drops all others.

    .. math:: \\min_{P, Q} \\sum_{b \\ne b'} \\|W_{P_b Q_{b'}}\\|^2

    over ways to deal inputs and outputs to blocks of one size. Takes `1 / blocks` of the entries and of the
    operations. A convolution has blocks at every position of its window. `structure.split` trains a network until
    little is lost; this is the projection.

    Args:
        blocks: Their number, at least 1; it divides inputs and outputs.
        order: `"natural"` takes neighbors; `"search"` starts at the largest rows, then assigns inputs and outputs in
            turn as well as possible (the Hungarian method) until nothing moves. It reads values, so it does not run
            under jit.

    Returns:
        Compression whose nodes are `BlockDiagonal`, with straight-through gradients.

    Raises:
        ValueError: If a setting is unknown; from `encode`, when blocks do not divide a leaf or it has several output
            axes.

    Example:
        >>> from compressjax.core import compress
        >>> import jax.numpy as jnp
        >>> kernel = jnp.eye(4)[:, jnp.array([0, 2, 1, 3])]
        >>> compress({"kernel": kernel}, {".*": block_diagonal(2, order="search")})["kernel"].materialize().sum().item()
        4.0

    Source: Kim et al., SplitNet: Learning to Semantically Split Deep Networks, 2017 (kim2017).
    """
    count = as_int("block_diagonal", "blocks", blocks)
    if count < 1 or order not in ("natural", "search"):
        raise ValueError(f"block_diagonal: blocks={blocks} must be at least 1, order={order!r} 'natural' or 'search'")

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        rows, columns, lead = ins[-1], outs[-1], (*batch, *ins[:-1])
        if len(outs) != 1 or rows % count or columns % count:
            raise UnfitError(
                "block_diagonal", {path: f"{count} blocks do not divide its inputs {ins} and outputs {outs}"}
            )
        if order == "search":
            known("block_diagonal", "order='search'", path, x, "order")
        return Form(
            x.size / count,
            lambda xp, x: _blocks(xp, x.reshape(-1, rows, columns), count, lead, order),
            lambda parts: BlockDiagonal(*parts),
        )

    return restructured("block_diagonal", f"{count}, order={order!r}", plan, always=count == 1)


def _blocks(xp: Any, x: Any, count: int, lead: Sizes, order: str) -> tuple[Any, Any, Any]:
    _, rows, columns = x.shape
    if order == "search":
        found = [_search(one, count) for one in x]
    else:
        found = [(np.arange(rows), np.arange(columns))] * len(x)
    kind = np.min_scalar_type(max(rows, columns, 1) - 1)
    inputs, outputs = (np.stack(side).astype(kind).reshape(len(x), count, -1) for side in zip(*found, strict=True))
    # Taken one after the other: a gather with all indices at once has no gradient that is fast.
    moved = xp.take_along_axis(x, xp.asarray(inputs.reshape(len(x), rows, 1).astype(np.int32)), axis=1)
    moved = xp.take_along_axis(moved, xp.asarray(outputs.reshape(len(x), 1, columns).astype(np.int32)), axis=2)
    parts = moved.reshape(len(x), count, rows // count, count, columns // count)
    own = xp.stack([parts[:, k, :, k] for k in range(count)], axis=1)
    return (
        own.reshape(*lead, *own.shape[1:]),
        xp.asarray(inputs.reshape(*lead, count, rows // count)),
        xp.asarray(outputs.reshape(*lead, count, columns // count)),
    )


def _search(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and outputs, block after block."""
    power = np.square(matrix, dtype=np.float64)
    outputs = _start(power, count)
    inputs, kept = np.zeros(len(power), int), -1.0
    for _ in range(ROUNDS):
        inputs = _assigned(power, outputs, count)
        outputs = _assigned(power.T, inputs, count)
        now = float(power[inputs[:, None] == outputs[None]].sum())
        if now <= kept:
            break
        kept = now
    return np.argsort(inputs, kind="stable"), np.argsort(outputs, kind="stable")


def _start(power: np.ndarray, count: int) -> np.ndarray:
    """Blocks of outputs: what the largest row is largest in, then without these, and so on."""
    rows, columns = power.shape
    blocks, left = np.full(columns, count - 1), power.copy()
    for k in range(count - 1):
        seed = left[np.argmax(left.sum(1))]
        free = np.flatnonzero(blocks == count - 1)
        mine = free[np.argsort(-seed[free], kind="stable")[: columns // count]]
        blocks[mine] = k
        taken = np.argsort(-left[:, mine].sum(1), kind="stable")[: rows // count]
        left[taken], left[:, mine] = 0, 0
    return blocks


def _assigned(power: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """The block of every row, with equally many in each, that keeps the most for given blocks of the columns."""
    kept = np.stack([power[:, other == k].sum(1) for k in range(count)], axis=1)
    share = math.ceil(len(power) / count)
    return np.asarray(linear_sum_assignment(-np.repeat(kept, share, axis=1))[1] // share)
