"""The size accounting of Deep Compression for the codes and the mask of a real layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from compressjax.coding import _huffman
from compressjax.core._settings import as_int
from compressjax.theory._deep_compression import DeepCompressionSize, deep_compression_size


def deep_compression_measured(
    mask: ArrayLike,
    codes: ArrayLike,
    *,
    codebook_bits: int,
    gap_bits: int = 5,
    biases: int = 0,
    huffman: bool = True,
    charge_tables: bool = False,
) -> DeepCompressionSize:
    """Returns the size of a layer as Deep Compression counts it, with the layer's own gaps, fillers and code lengths.

    .. math:: B = (n_k + n_f)(\\bar b_w + \\bar b_i) + 32 \\cdot 2^{b} + 32 m

    with `n_k` kept weights, `n_f` fillers, and the mean Huffman lengths of their codes and gaps. Published ratios of
    many papers count so; files count every byte, so compare files with files.

    Args:
        mask: Boolean `[*shape]`, at least one True.
        codes: Integers from 0 to `2^codebook_bits - 1`, of the same shape; those outside of the mask do not count.
        codebook_bits: Bits of a codebook index, 1 to 16.
        gap_bits: Bits of the longest gap, 1 to 16.
        biases: Number of biases, float32.
        huffman: Whether codes and gaps are Huffman-coded; otherwise they take their full width.
        charge_tables: Whether to count the Huffman tables, which the paper does not.

    Returns:
        Bits, rate relative to float32, and fillers per kept weight.

    Raises:
        ValueError: If the shapes differ, nothing is kept, or a number is out of range.

    Example:
        >>> mask = np.arange(6400).reshape(80, 80) % 8 == 0
        >>> size = deep_compression_measured(mask, np.zeros((80, 80), int), codebook_bits=4, gap_bits=4, huffman=False)
        >>> size.bits, size.filler  # 800 weights of 8 bits, and 16 centroids
        (6912.0, 0.0)

    Source: Han et al., arXiv:1510.00149, tables 2 to 5.
    """
    for name, value in (("codebook_bits", codebook_bits), ("gap_bits", gap_bits)):
        if not 1 <= as_int("deep_compression_measured", name, value) <= 16:
            raise ValueError(f"deep_compression_measured: {name}={value} must be between 1 and 16")
    kept, all_codes = np.asarray(mask, bool).reshape(-1), np.asarray(codes)
    if np.shape(mask) != all_codes.shape or not kept.any():
        raise ValueError(
            f"deep_compression_measured: a mask {np.shape(mask)} that keeps {int(kept.sum())} entries and codes "
            f"{all_codes.shape}: give equal shapes, and a mask that keeps something"
        )
    chosen = all_codes.reshape(-1)[kept].astype(np.int64)
    if chosen.min() < 0 or chosen.max() >= 2**codebook_bits:
        raise ValueError(
            f"deep_compression_measured: codes span {chosen.min()} to {chosen.max()}, not {codebook_bits} bits"
        )
    gaps = np.diff(np.flatnonzero(kept), prepend=-1) - 1
    fillers = int((gaps >> gap_bits).sum())
    width = (float(codebook_bits), float(gap_bits))
    if huffman:
        # A filler is a gap of the largest symbol before a weight of code 0.
        symbols = np.bincount(gaps & (2**gap_bits - 1), minlength=2**gap_bits)
        symbols[-1] += fillers
        counts = np.bincount(chosen, minlength=2**codebook_bits)
        counts[0] += fillers
        width = _mean_length(counts), _mean_length(symbols)
    return deep_compression_size(
        kept.size,
        chosen.size / kept.size,
        *width,
        codebook_bits=codebook_bits,
        gap_bits=gap_bits,
        biases=biases,
        filler=fillers / chosen.size,
        charge_tables=charge_tables,
    )


def _mean_length(counts: np.ndarray) -> float:
    """Mean Huffman length; a single symbol takes a bit, as no code is empty."""
    if np.count_nonzero(counts) < 2:
        return 1.0
    return float((counts * _huffman.lengths(counts)).sum() / counts.sum())
