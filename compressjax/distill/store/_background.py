"""What is known of a teacher's distributions before a position is read."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Background(NamedTuple):
    """Mean log probabilities, and directions in which they vary.

    Attributes:
        mean: `[vocabulary]`, float16.
        basis: `[components, vocabulary]`, float16; no rows for a constant background.
        scales: `[components]`, float32: steps of the coefficients.
        rank: `[vocabulary]`, int32: place of every token in the order of its probability.
    """

    mean: np.ndarray
    basis: np.ndarray
    scales: np.ndarray
    rank: np.ndarray

    @property
    def tokens_of(self) -> np.ndarray:
        """The token of every rank."""
        return np.argsort(self.rank)

    def coefficients(self, log_p: np.ndarray) -> np.ndarray:
        """Rounded coefficients `[n, components]` of log probabilities."""
        if not len(self.basis):
            return np.zeros((len(log_p), 0), np.int16)
        centered = log_p - self.mean.astype(np.float32)
        centered -= centered.mean(1, keepdims=True)  # a constant is no matter: probabilities sum to 1
        found = centered @ self.basis.astype(np.float32).T / (self.scales * len(self.mean))
        return np.clip(np.round(found), -32768, 32767).astype(np.int16)

    def expand(self, coefficients: np.ndarray) -> np.ndarray:
        """Log probabilities `[n, vocabulary]` of rounded coefficients."""
        mean = self.mean.astype(np.float32)
        if not len(self.basis):
            return np.repeat(normalized(mean[None]), len(coefficients), axis=0)
        logits = (coefficients * self.scales).astype(np.float32) @ self.basis.astype(np.float32)
        logits += mean
        return normalized(logits)


def as_background(arrays: Mapping[str, np.ndarray], components: int) -> Background:
    """A background from named arrays; raises `ValueError` where they do not fit together."""
    size = arrays["mean"].size if "mean" in arrays else 0
    wanted = {"mean": ((size,), np.float16), "basis": ((components, size), np.float16),
              "scales": ((components,), np.float32), "rank": ((size,), np.int32)}  # fmt: skip
    for name, (shape, dtype) in wanted.items():
        x = arrays.get(name)
        if x is None or x.shape != shape or x.dtype != dtype or (x.dtype != np.int32 and not np.isfinite(x).all()):
            found = "missing" if x is None else f"{x.dtype}{list(x.shape)}"
            raise ValueError(f"{name!r} is {found}, not finite {np.dtype(dtype)}{list(shape)}")
    if not size or not np.array_equal(np.sort(arrays["rank"]), np.arange(size)):
        raise ValueError(f"'rank' is not an order of the {size} tokens")
    return Background(*(arrays[name] for name in Background._fields))


def normalized(logits: np.ndarray) -> np.ndarray:
    """Log probabilities of logits `[n, vocabulary]`, whose array is reused; sums have 64 bits."""
    logits -= logits.max(1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(1, keepdims=True, dtype=np.float64)).astype(logits.dtype)
    return logits


def fit_background(log_p: np.ndarray, components: int, step: float) -> Background:
    """The background of a sample of log probabilities `[n, vocabulary]`.

    Without components, the mean is that of the probabilities, which is best for what no correction reaches. With
    components, it is that of the log probabilities, and the basis holds their principal directions: the logits of a
    linear head vary in as many directions as the head has inputs, so that many components are exact.
    """
    order = np.exp(log_p).mean(0, dtype=np.float64)
    rank = np.empty(log_p.shape[1], np.int32)
    rank[np.argsort(-order, kind="stable")] = np.arange(len(rank))
    if not components:
        smoothed = order + 0.01 / len(order)
        return Background(np.log(smoothed / smoothed.sum()).astype(np.float16), np.zeros((0, len(rank)), np.float16),
                          np.zeros(0, np.float32), rank)  # fmt: skip
    mean = log_p.mean(0).astype(np.float16)
    centered = log_p - mean.astype(np.float64)  # small directions are differences of large sums
    centered -= centered.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(centered @ centered.T)
    most = np.argsort(-values)[:components]
    basis = vectors[:, most].T @ centered / np.sqrt(np.maximum(values[most], 1e-30))[:, None]
    # An error of a coefficient moves all tokens; under p, by its size times the spread of the direction under p.
    p = np.exp(log_p)
    spread = np.sqrt(np.maximum((p @ (basis**2).T - (p @ basis.T) ** 2).mean(0), 1e-30))
    scales = (step / np.sqrt(components) / spread).astype(np.float32)
    # Unit vectors have entries near 1 / sqrt(vocabulary), where float16 is coarse: scaled up, and the steps down.
    size = np.float32(np.sqrt(log_p.shape[1]))
    return Background(mean, (basis * size).astype(np.float16), scales / size, rank)
