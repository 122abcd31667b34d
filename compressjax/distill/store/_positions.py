"""Corrections of single tokens, as arrays of small integers that an entropy coder makes short."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from compressjax.distill.store._background import normalized

# Tail factors matter for all tokens at once, so they are finer than the corrections of single tokens.
_FINER = 8


class Corrections(NamedTuple):
    """What differs from a background distribution at `n` positions.

    Attributes:
        counts: `[n]`, corrected tokens of every position.
        tokens: `[sum(counts)]`, their ids, position after position, in the order of their ranks.
        levels: `[sum(counts)]`, their corrections in steps, without the factor.
        factors: `[n]`, common correction of all tokens, in steps of an eighth.
    """

    counts: np.ndarray
    tokens: np.ndarray
    levels: np.ndarray
    factors: np.ndarray


def correct(
    log_p: np.ndarray, background: np.ndarray, rank: np.ndarray, *, step: float, cut: float, top: int
) -> Corrections:
    """Chooses the tokens whose probability the background misses most, and rounds what it misses.

    A token is kept where `p |log p - log q| > cut`, at most `top` of a position; `log q` is the background times one
    factor a position, which gives the tokens that are not kept their right sum.
    """
    p, expected = np.exp(log_p), np.exp(background)
    missed = log_p - background
    kept = np.zeros(log_p.shape, bool)
    factor = np.zeros((len(log_p), 1))
    for _ in range(4):  # what is kept and the factor depend on each other
        factor = np.log(np.maximum(_outside(p, kept), 1e-12)) - np.log(np.maximum(_outside(expected, kept), 1e-12))
        factor = np.round(factor / step * _FINER) * step / _FINER
        now = _most(p, missed - factor.astype(missed.dtype), step, cut, top)
        if np.array_equal(kept, now):
            break
        kept = now
    rows, tokens = np.nonzero(kept)
    order = np.lexsort((rank[tokens], rows))
    rows, tokens = rows[order], tokens[order]
    levels = np.round((missed[rows, tokens] - factor[rows, 0]) / step).astype(np.int32)
    factors = np.round(factor[:, 0] / step * _FINER).astype(np.int32)
    return Corrections(kept.sum(1).astype(np.int32), tokens.astype(np.int32), levels, factors)


def _outside(p: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Sums `[n, 1]` of what is not kept; numbers of 32 bits are added up in 64."""
    return np.where(kept, np.zeros((), p.dtype), p).sum(1, keepdims=True, dtype=np.float64)


def _most(p: np.ndarray, missed: np.ndarray, step: float, cut: float, top: int) -> np.ndarray:
    """Which tokens are worth a correction, at most `top` of a position."""
    kept = np.abs(missed) > step / 2
    score = np.abs(missed)
    score *= p
    kept &= score > cut
    for row in np.flatnonzero(kept.sum(1) > top):
        some = np.flatnonzero(kept[row])
        kept[row, some[np.argsort(-score[row, some], kind="stable")[top:]]] = False
    return kept


def corrected(background: np.ndarray, found: Corrections, step: float) -> np.ndarray:
    """Log probabilities `[n, vocabulary]` of a background with corrections."""
    logits = background + (found.factors * (step / _FINER))[:, None].astype(background.dtype)
    rows = np.repeat(np.arange(len(found.counts)), found.counts)
    logits[rows, found.tokens] += (found.levels * step).astype(background.dtype)
    return normalized(logits)


def packed(found: Corrections, rank: np.ndarray) -> dict[str, np.ndarray]:
    """Corrections as named arrays.

    Ranks of a position are coded as gaps, and gaps as a number of bits and these bits. The numbers of bits, and the
    levels, form one array per number of bits of the rank before: frequent tokens have short gaps, and the coder fits a
    distribution to every array. The j-th tokens of all positions come together, so reading needs a loop over j alone.
    """
    starts = np.concatenate([[0], np.cumsum(found.counts)[:-1]])
    ranks, arrays = rank[found.tokens], {"counts": found.counts, "factors": found.factors}
    classes: dict[int, list[np.ndarray]] = {}
    levels: dict[int, list[np.ndarray]] = {}
    bits: dict[int, list[np.ndarray]] = {}
    before = np.full(len(found.counts), -1)
    for j in range(int(found.counts.max(initial=0))):
        rows = np.flatnonzero(found.counts > j)
        now = ranks[starts[rows] + j]
        gaps, context = now - before[rows] - 1, _length(before[rows] + 1)
        size = _length(gaps)
        for c in np.unique(context):
            mine = context == c
            classes.setdefault(c, []).append(size[mine])
            levels.setdefault(c, []).append(found.levels[starts[rows[mine]] + j])
        for s in np.unique(size[size > 1]):
            bits.setdefault(s, []).append(gaps[size == s] - (1 << (s - 1)))
        before[rows] = now
    for name, groups in (("sizes", classes), ("levels", levels), ("bits", bits)):
        arrays |= {f"{name}/{c}": _narrow(np.concatenate(parts)) for c, parts in groups.items()}
    return arrays


def unpacked(arrays: Mapping[str, np.ndarray], tokens_of: np.ndarray, positions: int) -> Corrections:
    """Corrections from named arrays; `tokens_of` gives the token of every rank.

    Raises `ValueError` where the arrays do not fit together, before anything of a size that they claim is made.
    """
    counts, factors = (integers(arrays, name, (positions,)) for name in ("counts", "factors"))
    if counts.min(initial=0) < 0 or counts.max(initial=0) > len(tokens_of):
        raise ValueError(f"'counts' has numbers outside of 0 to {len(tokens_of)}, the number of tokens")
    take = _Taken({name: integers(arrays, name, None) for name in arrays if "/" in name}, int(counts.sum()))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks, levels = np.zeros(int(counts.sum()), np.int64), np.zeros(int(counts.sum()), np.int64)
    before = np.full(positions, -1)
    for j in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > j)
        context, size = _length(before[rows] + 1), np.zeros(len(rows), np.int64)
        for c in np.unique(context):
            mine = context == c
            size[mine] = take(f"sizes/{c}", int(mine.sum()), 0, len(tokens_of).bit_length())
            levels[starts[rows[mine]] + j] = take(f"levels/{c}", int(mine.sum()))
        gaps = np.where(size > 0, 1 << np.maximum(size - 1, 0), 0)
        for s in np.unique(size[size > 1]):
            gaps[size == s] += take(f"bits/{s}", int((size == s).sum()), 0, (1 << (s - 1)) - 1)
        before[rows] = before[rows] + 1 + gaps
        if before.max() >= len(tokens_of):
            raise ValueError(f"a token has the rank {before.max()}, and the vocabulary ends at {len(tokens_of) - 1}")
        ranks[starts[rows] + j] = before[rows]
    take.check_end()
    return Corrections(counts, tokens_of[ranks], levels, factors)


class _Taken:
    """Arrays that are read from the front; together they must hold what the counts say."""

    def __init__(self, arrays: Mapping[str, np.ndarray], count: int) -> None:
        self._arrays, self._read = arrays, dict.fromkeys(arrays, 0)
        for kind in ("sizes/", "levels/"):
            if (found := sum(x.size for name, x in arrays.items() if name.startswith(kind))) != count:
                raise ValueError(f"the arrays {kind}* hold {found} numbers, and the counts add up to {count}")

    def __call__(self, name: str, count: int, low: int | None = None, high: int = 0) -> np.ndarray:
        """The next numbers of an array, which must lie between two bounds."""
        first = self._read.get(name, 0)
        part = self._arrays[name][first : first + count] if name in self._arrays else np.empty(0, np.int64)
        if len(part) != count:
            raise ValueError(f"{name!r} is too short")
        if low is not None and (part.min() < low or part.max() > high):
            raise ValueError(f"{name!r} has numbers outside of {low} to {high}")
        self._read[name] = first + count
        return part

    def check_end(self) -> None:
        """Raises if something was not read."""
        for name, x in self._arrays.items():
            if self._read[name] != x.size:
                raise ValueError(f"{name!r} is too long")


def integers(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    """A named array of integers of a shape, or of one axis, as int64."""
    x = arrays.get(name)
    if x is None or x.dtype.kind != "i" or (x.ndim != 1 if shape is None else x.shape != shape):
        found = "missing" if x is None else f"{x.dtype}{list(x.shape)}"
        raise ValueError(f"{name!r} is {found}, not integers {'of one axis' if shape is None else list(shape)}")
    return x.astype(np.int64)


def _length(x: np.ndarray) -> np.ndarray:
    """Bits of nonnegative integers below 2^52."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64) * (x > 0)


def _narrow(x: np.ndarray) -> np.ndarray:
    """The same integers in the smallest type."""
    low, high = int(x.min(initial=0)), int(x.max(initial=0))
    return x.astype(
        next(t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    )
