"""Entropies, the lower bounds of coding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def empirical_entropy(symbols: ArrayLike) -> float:
    """Returns the entropy of the symbol frequencies in bits per symbol, the lower bound of order-0 coding.

    .. math:: H = -\\sum_a \\frac{n_a}{n} \\log_2 \\frac{n_a}{n}

    Args:
        symbols: Array `[*shape]` of any type that NumPy can sort.

    Returns:
        Bits per symbol, 0 for an empty array.

    Raises:
        ValueError: If a symbol is NaN.

    Example:
        >>> empirical_entropy([0, 1, 2, 3])
        2.0

    Source: Shannon, 1948, A mathematical theory of communication [shannon1948].
    """
    symbols = np.asarray(symbols)
    if symbols.dtype.kind == "f" and np.isnan(symbols).any():
        raise ValueError("symbols contain NaN, which is not equal to itself; replace it first")
    share = np.unique(symbols, return_counts=True)[1] / max(symbols.size, 1)
    return max(0.0, float(-(share * np.log2(share)).sum()))


def binary_entropy(p: ArrayLike) -> np.ndarray:
    """Returns the entropy of a Bernoulli variable in bits.

    .. math:: H_2(p) = -p \\log_2 p - (1 - p) \\log_2 (1 - p)

    Args:
        p: Probabilities `[*shape]` in [0, 1].

    Returns:
        Bits `[*shape]`, in [0, 1].

    Raises:
        ValueError: If a probability is outside [0, 1].

    Example:
        >>> float(binary_entropy(0.5))
        1.0

    Source: Shannon, 1948, A mathematical theory of communication [shannon1948].
    """
    p = np.asarray(p, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probabilities span {p.min()} to {p.max()}; give values in [0, 1]")
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    return np.where(inside, -q * np.log2(q) - (1 - q) * np.log2(1 - q), 0.0)
