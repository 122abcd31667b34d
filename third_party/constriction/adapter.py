"""Bare entropy coding of symbols under their empirical distribution."""

import constriction
import numpy as np


def model(symbols: np.ndarray) -> constriction.stream.model.Categorical:
    """The empirical distribution of symbols, which the decoder gets for free."""
    counts = np.bincount(symbols).astype(np.float64)
    return constriction.stream.model.Categorical(counts / counts.sum(), perfect=False)


def encode(symbols: np.ndarray, distribution: constriction.stream.model.Categorical) -> np.ndarray:
    """Compressed words of int32 symbols."""
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, distribution)
    return coder.get_compressed()


def decode(words: np.ndarray, distribution: constriction.stream.model.Categorical, count: int) -> np.ndarray:
    """The symbols again."""
    return constriction.stream.stack.AnsCoder(words).decode(distribution, count)
