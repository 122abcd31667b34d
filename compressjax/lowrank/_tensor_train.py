"""TT-SVD: tensor trains of matrices, core by core."""

import math
from typing import Any

from compressjax.core import Compression
from compressjax.core._settings import as_int
from compressjax.lowrank._cp import rank_or_budget
from compressjax.lowrank._restructure import Form, Sizes, decompose, restructured
from compressjax.tensors import TensorTrain


def tensor_train(
    *, rank: int | None = None, budget: float | None = None, cores: int = 3, always: bool = False
) -> Compression:
    """Replaces kernels by tensor trains: chains of small cores over digits of the row and column numbers.

    .. math:: W_{(i_1 \\dots i_d), (o_1 \\dots o_d)} \\approx G_1[i_1, o_1] \\cdots G_d[i_d, o_d]

    Rows and columns are split into `cores` factors of nearly equal size (784 into 7, 8 and 14). One decomposition per
    core gives a squared error of at most `d - 1` times the best one of these ranks. Best for very large layers that
    train on in this form; a trained matrix itself has seldom such a structure.

    Args:
        rank: Largest inner dimension between cores, at least 1.
        budget: Largest fraction of the dense parameters, in (0, 1], in the place of `rank`.
        cores: `d`, at least 2.
        always: Whether to factorize even if that takes more entries.

    Returns:
        Compression whose nodes are `TensorTrain`, with straight-through gradients.

    Raises:
        ValueError: Unless exactly one of `rank` and `budget` is given and in range; from `encode`, when a leaf would
            not shrink.

    Example:
        >>> from compressjax.core import compress
        >>> import jax.numpy as jnp
        >>> node = compress({"kernel": jnp.ones((784, 64))}, {".*": tensor_train(rank=2)})["kernel"]
        >>> [core.shape for core in node.cores]
        [(1, 7, 4, 2), (2, 8, 4, 2), (2, 14, 4, 1)]

    Source: Novikov et al., arXiv:1509.06569 (novikov2015).
    """
    chosen, d = rank_or_budget("tensor_train", rank, budget), as_int("tensor_train", "cores", cores)
    if d < 2:
        raise ValueError(f"tensor_train: cores={cores} must be at least 2")

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        del path, x
        rows, columns = digits(math.prod(ins), d), digits(math.prod(outs), d)
        dense = math.prod(rows) * math.prod(columns)
        if isinstance(chosen, int):
            r = chosen
        else:
            r = 1
            while r < dense and _entries(rows, columns, r + 1) <= chosen * dense:
                r += 1
        return Form(
            math.prod(batch) * _entries(rows, columns, r),
            lambda xp, x: _train(xp, x, batch, rows, columns, r),
            lambda parts: TensorTrain(tuple(parts), ins, outs),
        )

    return restructured("tensor_train", f"rank={rank}" if budget is None else f"budget={budget}", plan, always=always)


def digits(size: int, count: int) -> Sizes:
    """A size as a product of `count` factors of nearly equal size, the smallest first."""
    found, rest, prime = [1] * count, size, 2
    primes = []
    while rest > 1:
        while rest % prime == 0:
            primes.append(prime)
            rest //= prime
        prime += 1
        if prime * prime > rest > 1:
            primes.append(rest)
            break
    for factor in sorted(primes, reverse=True):
        place = found.index(min(found))
        found[place] *= factor
    return tuple(sorted(found))


def _ranks(rows: Sizes, columns: Sizes, rank: int) -> Sizes:
    """Inner dimensions: no more than the smaller side of the matrix that is cut there."""
    sizes = [i * o for i, o in zip(rows, columns, strict=True)]
    inner, before = [], 1
    for k in range(1, len(sizes)):
        before = min(rank, before * sizes[k - 1], math.prod(sizes[k:]))
        inner.append(before)
    return (1, *inner, 1)


def _entries(rows: Sizes, columns: Sizes, rank: int) -> int:
    ranks = _ranks(rows, columns, rank)
    return sum(a * i * o * b for a, i, o, b in zip(ranks, rows, columns, ranks[1:]))


def _train(xp: Any, x: Any, batch: Sizes, rows: Sizes, columns: Sizes, rank: int) -> tuple[Any, ...]:
    b, d, ranks = len(batch), len(rows), _ranks(rows, columns, rank)
    order = [*range(b), *(b + k + side * d for k in range(d) for side in (0, 1))]
    rest = xp.transpose(x.reshape(*batch, *rows, *columns), order)
    made = []
    for k in range(d - 1):
        r, i, o, after = ranks[k], rows[k], columns[k], ranks[k + 1]
        left, values, right = decompose(xp, rest.reshape(*batch, r * i * o, -1))
        made.append(left[..., :after].reshape(*batch, r, i, o, after))
        rest = values[..., :after, None] * right[..., :after, :]
    return (*made, rest.reshape(*batch, ranks[-2], rows[-1], columns[-1], 1))
