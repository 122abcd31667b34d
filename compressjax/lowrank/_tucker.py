"""Tucker-2: convolutions as 1x1, k x k and 1x1 convolutions of fewer channels."""

import math
from typing import Any

import numpy as np

from compressjax.core import Compression
from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._evbmf import evbmf
from compressjax.lowrank._factorize import matmul
from compressjax.lowrank._rank import known
from compressjax.lowrank._restructure import Form, Sizes, decompose, leading, restructured
from compressjax.tensors import LowRank, Tucker

STEPS = 256  # shares of the channels that a budget tries


def tucker(
    *,
    ranks: tuple[int, int] | float | str | None = None,
    budget: float | None = None,
    rounds: int = 3,
    always: bool = False,
) -> Compression:
    """Replaces convolutions by three: to few channels, between few channels, and back.

    .. math:: W_{k\\dots i o} \\approx \\sum_{r q} L_{i r} C_{k\\dots r q} R_{q o}

    with orthonormal `L` and `R`: leading eigenvectors of each side (HOSVD), improved in turn (HOOI). Takes
    `in r + k r q + q out` entries, and that many multiplications for every output position. Kernels without a window
    become `LowRank` of the smaller rank.

    Args:
        ranks: `(r, q)`, each at least 1 and limited to its channels; or a share of both in (0, 1]; or `"evbmf"`, which
            finds what stands above the noise on either side.
        budget: Largest fraction of the dense parameters, in (0, 1]; the same share of channels on both sides.
        rounds: How often both sides are improved in turn, at least 0.
        always: Whether to factorize even if that takes more entries.

    Returns:
        Compression whose nodes are `Tucker`, with straight-through gradients.

    Raises:
        ValueError: Unless exactly one of `ranks` and `budget` is given and in range; from `encode`, when a leaf would
            not shrink, or `"evbmf"` is used under a trace.

    Example:
        >>> from compressjax.core import compress
        >>> import jax.numpy as jnp
        >>> compress({"conv": jnp.ones((3, 3, 16, 32))}, {".*": tucker(ranks=(4, 8))})["conv"].core.shape
        (3, 3, 4, 8)

    Source: Kim et al., arXiv:1511.06530 (kim2015).
    """
    chosen, share = _check(ranks, budget, as_int("tucker", "rounds", rounds))

    def pick(path: str, k: int, i: int, o: int, x: Any) -> tuple[int, int]:
        if isinstance(chosen, tuple):
            return min(chosen[0], i), min(chosen[1], o)
        if chosen == "evbmf":
            dense = known("tucker", "ranks='evbmf'", path, x).reshape(-1, k, i, o)
            found = [_above_noise(one) for one in dense]
            if not min(max(r) for r in zip(*found, strict=True)):
                raise UnfitError("tucker", {path: "ranks='evbmf' finds no direction above the noise"})
            return max(r for r, _ in found), max(q for _, q in found)
        if share is not None:
            fits = [
                s / STEPS for s in range(STEPS, 0, -1) if _entries(k, i, o, *_of(s / STEPS, i, o)) <= share * k * i * o
            ]
            return _of(fits[0] if fits else 1 / STEPS, i, o)
        return _of(float(chosen), i, o)

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        window, i, o = ins[:-1], ins[-1], math.prod(outs)
        k, count = math.prod(window), math.prod(batch)
        r, q = pick(path, k, i, o, x)
        if window and len(outs) == 1:
            return Form(
                count * _entries(k, i, o, r, q),
                lambda xp, x: _hooi(xp, x, (*batch, k, i, o), (r, q), rounds, (*batch, *window, r, q)),
                lambda parts: Tucker(*parts),
            )
        rank = min(r, q)
        return Form(
            count * rank * (math.prod(ins) + o),
            lambda xp, x: _halves(xp, x, batch, ins, outs, rank),
            lambda parts: LowRank(parts[0], parts[1], len(ins)),
        )

    shown = f"ranks={ranks}" if budget is None else f"budget={budget}"
    return restructured("tucker", shown, plan, always=always)


def _of(share: float, i: int, o: int) -> tuple[int, int]:
    return max(1, round(share * i)), max(1, round(share * o))


def _entries(k: int, i: int, o: int, r: int, q: int) -> int:
    return i * r + k * r * q + q * o


def _above_noise(x: np.ndarray) -> tuple[int, int]:
    k, i, o = x.shape
    return evbmf(np.swapaxes(x, 0, 1).reshape(i, k * o)).rank, evbmf(x.reshape(k * i, o)).rank


def _hooi(xp: Any, x: Any, shape: Sizes, ranks: tuple[int, int], rounds: int, core: Sizes) -> tuple[Any, Any, Any]:
    x = x.reshape(shape)
    left, right = leading(xp, _gram(xp, x, -2), ranks[0]), leading(xp, _gram(xp, x, -1), ranks[1])
    for _ in range(rounds):
        left = leading(xp, _gram(xp, _from_right(xp, x, right), -2), ranks[0])
        right = leading(xp, _gram(xp, _from_left(xp, x, left), -1), ranks[1])
    inside = _from_right(xp, _from_left(xp, x, left), right)
    return left, inside.reshape(core), xp.swapaxes(right, -1, -2)


def _gram(xp: Any, x: Any, axis: int) -> Any:
    """Products of the slices of `[*batch, k, i, o]` along inputs (-2) or outputs (-1) with one another."""
    moved = x if axis == -1 else xp.swapaxes(x, -1, -2)
    flat = moved.reshape(*x.shape[:-3], -1, moved.shape[-1])
    return matmul(xp, xp.swapaxes(flat, -1, -2), flat)


def _from_left(xp: Any, x: Any, left: Any) -> Any:
    return matmul(xp, xp.swapaxes(left, -1, -2)[..., None, :, :], x)


def _from_right(xp: Any, x: Any, right: Any) -> Any:
    return matmul(xp, x, right[..., None, :, :])


def _halves(xp: Any, x: Any, batch: Sizes, ins: Sizes, outs: Sizes, rank: int) -> tuple[Any, Any]:
    left, values, right = decompose(xp, x.reshape(*batch, math.prod(ins), math.prod(outs)))
    root = values[..., :rank] ** 0.5
    return (
        (left[..., :rank] * root[..., None, :]).reshape(*batch, *ins, rank),
        (root[..., :, None] * right[..., :rank, :]).reshape(*batch, rank, *outs),
    )


def _check(ranks: Any, budget: Any, rounds: int) -> tuple[Any, float | None]:
    if (ranks is None) == (budget is None):
        raise ValueError(f"tucker needs exactly one of ranks and budget; it got ranks={ranks}, budget={budget}")
    if rounds < 0:
        raise ValueError(f"tucker: rounds={rounds} must be at least 0")
    if isinstance(ranks, str) and ranks != "evbmf":
        raise ValueError(f"tucker: ranks={ranks!r} is unknown; use a pair, a share, or 'evbmf'")
    if isinstance(ranks, tuple | list):
        pair = tuple(as_int("tucker", "ranks", r) for r in ranks)
        if len(pair) != 2 or min(pair) < 1:
            raise ValueError(f"tucker: ranks={ranks} must be two numbers of at least 1: of inputs and of outputs")
        return pair, None
    for name, number in (("ranks", ranks), ("budget", budget)):
        if not (number is None or isinstance(number, str)) and not 0 < as_number("tucker", name, number) <= 1:
            raise ValueError(f"tucker: {name}={number} must lie in (0, 1], or be a pair of ranks")
    return ranks, budget
