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


def unpacked(arrays: Mapping[str, np.ndarray], tokens_of: np.ndarray) -> Corrections:
    """Corrections from named arrays; `tokens_of` gives the token of every rank."""
    counts, read = arrays["counts"].astype(np.int64), dict.fromkeys(arrays, 0)

    def take(name: str, count: int) -> np.ndarray:
        first = read.get(name, 0)
        part = arrays[name][first : first + count].astype(np.int64) if name in arrays else np.empty(0, np.int64)
        if len(part) != count:
            raise ValueError(f"teacher store: {name!r} is too short; the file is damaged, so delete it and write again")
        read[name] = first + count
        return part

    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks, levels = np.zeros(int(counts.sum()), np.int64), np.zeros(int(counts.sum()), np.int64)
    before = np.full(len(counts), -1)
    for j in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > j)
        context, size = _length(before[rows] + 1), np.zeros(len(rows), np.int64)
        for c in np.unique(context):
            mine = context == c
            size[mine] = take(f"sizes/{c}", int(mine.sum()))
            levels[starts[rows[mine]] + j] = take(f"levels/{c}", int(mine.sum()))
        gaps = np.where(size > 0, 1 << np.maximum(size - 1, 0), 0)
        for s in np.unique(size[size > 1]):
            gaps[size == s] += take(f"bits/{s}", int((size == s).sum()))
        before[rows] = before[rows] + 1 + gaps
        ranks[starts[rows] + j] = before[rows]
    if ranks.max(initial=0) >= len(tokens_of):
        raise ValueError(
            "teacher store: a token is not in the vocabulary; the file is damaged, delete it and write again"
        )
    return Corrections(counts, tokens_of[ranks], levels, arrays["factors"].astype(np.int64))


def _length(x: np.ndarray) -> np.ndarray:
    """Bits of nonnegative integers below 2^52."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64) * (x > 0)


def _narrow(x: np.ndarray) -> np.ndarray:
    """The same integers in the smallest type."""
    low, high = int(x.min(initial=0)), int(x.max(initial=0))
    return x.astype(
        next(t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    )
