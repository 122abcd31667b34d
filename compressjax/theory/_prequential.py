"""Prequential code lengths: labels coded by a model that is trained on what was coded before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from compressjax.core._settings import as_int, as_number


class Prequential(NamedTuple):
    """The length of the labels, block by block.

    Attributes:
        bits: Of all labels; no bits are paid for parameters.
        blocks: Bits of every block; the first is coded uniformly.
        uniform: Bits of all labels without a model, `n log2 classes`.
    """

    bits: float
    blocks: tuple[float, ...]
    uniform: float

    @property
    def compression(self) -> float:
        """`uniform / bits`: about 1 for labels that cannot be learned."""
        return self.uniform / self.bits if self.bits else math.inf


def prequential_length(
    fit: Callable[[Any, np.ndarray], Callable[[Any], ArrayLike]],
    inputs: Any,
    labels: ArrayLike,
    ends: Sequence[int],
    classes: int,
    *,
    mix: float = 0.0,
) -> Prequential:
    """Returns the bits that labels take when every block is coded by a model of the blocks before it.

    .. math:: L = t_1 \\log_2 K - \\sum_s \\sum_{i = t_s + 1}^{t_{s+1}} \\log_2 p_{\\theta(t_s)}(y_i | x_i), \\quad
        p = (1 - \\epsilon)\\, p_\\theta + \\epsilon / K

    A decoder that has the inputs repeats the training, so the model itself costs nothing. The same length with the
    features of a layer as inputs is an MDL probe of that layer.

    Args:
        fit: `(inputs, labels) -> predict`, trained from scratch on the rows so far; `predict(inputs) -> [m, classes]`,
            probabilities.
        inputs: `[n, ...]`, anything that slices.
        labels: `[n]`, integers from 0 to `classes - 1`, in random order.
        ends: Where blocks end: increasing, from at least 1 to `n`; doubling is usual.
        classes: Number of classes `K`, at least 2.
        mix: Share `epsilon` of the uniform distribution, in [0, 1), so that no label costs infinitely many bits.

    Returns:
        Bits of all labels and of every block.

    Raises:
        ValueError: If an argument is out of range, predictions are no probabilities, or a label has probability 0.

    Example:
        >>> def fit(x, y):
        ...     share = (np.bincount(y, minlength=2) + 1) / (len(y) + 2)
        ...     return lambda x: np.tile(share, (len(x), 1))
        >>> prequential_length(fit, np.zeros(4), [0, 0, 0, 0], [1, 2, 4], 2).bits.__round__(3)
        2.415

    Source: Blier and Ollivier, arXiv:1802.07044 (blier2018); Voita and Titov, arXiv:2003.12298 (voita2020).
    """
    rows, kinds = np.asarray(labels), as_int("prequential_length", "classes", classes)
    share = as_number("prequential_length", "mix", mix)
    stops = [as_int("prequential_length", "ends", end) for end in ends]
    _check(rows, kinds, share, stops)
    blocks = [stops[0] * math.log2(kinds)]
    for start, stop in zip(stops, stops[1:], strict=False):
        found = np.asarray(fit(inputs[:start], rows[:start])(inputs[start:stop]), np.float64)
        sums = found.sum(-1) if found.shape == (stop - start, kinds) else np.zeros(1)
        if not (np.isfinite(found).all() and (found >= 0).all() and np.allclose(sums, 1, atol=1e-4)):
            raise ValueError(f"prequential_length: predictions for rows {start} to {stop} are no probabilities "
                             f"[{stop - start}, {kinds}] that sum to 1; apply softmax to logits")  # fmt: skip
        taken = (found / sums[:, None])[np.arange(stop - start), rows[start:stop]]
        taken = (1 - share) * taken + share / kinds
        if not taken.all():
            row = start + int(np.argmin(taken))
            raise ValueError(f"prequential_length: label {rows[row]} of row {row} has probability 0; set mix=1e-4")
        blocks.append(float(-np.log2(taken).sum()))
    return Prequential(math.fsum(blocks), tuple(blocks), len(rows) * math.log2(kinds))


def _check(labels: np.ndarray, classes: int, mix: float, ends: Sequence[int]) -> None:
    if classes < 2 or not 0 <= mix < 1:
        raise ValueError(f"prequential_length: classes={classes} must be at least 2 and mix={mix} in [0, 1)")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not labels.size:
        raise ValueError(f"prequential_length: labels are {labels.dtype}{list(labels.shape)}; give integers [n]")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"prequential_length: labels go from {labels.min()} to {labels.max()}, classes={classes}; "
                         "number them from 0")  # fmt: skip
    if not ends or ends[0] < 1 or any(b <= a for a, b in zip(ends, ends[1:], strict=False)) or ends[-1] != len(labels):
        raise ValueError(f"prequential_length: ends={list(ends)} must increase from at least 1 to {len(labels)}")
