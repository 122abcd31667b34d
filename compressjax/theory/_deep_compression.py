"""The size accounting of Deep Compression, for comparison with published ratios."""

from __future__ import annotations

from typing import NamedTuple


class DeepCompressionSize(NamedTuple):
    """Size of one layer under the accounting of Deep Compression.

    Attributes:
        bits: Bits of weights, indices, codebook, biases and, if counted, Huffman tables.
        rate: `bits` divided by the bits of the dense float32 layer.
        filler: Padding zeros per kept weight.
    """

    bits: float
    rate: float
    filler: float


def deep_compression_size(
    weights: float,
    density: float,
    weight_bits: float,
    index_bits: float,
    *,
    codebook_bits: int,
    gap_bits: int,
    biases: int = 0,
    filler: float | None = None,
    charge_tables: bool = False,
) -> DeepCompressionSize:
    """Returns the size of a pruned layer with shared, Huffman-coded weights, as the paper counts it.

    .. math:: B = n d (1 + f)(b_w + b_i) + 32 \\cdot 2^{b} + 32 m,
        \\quad f = \\frac{q}{1 - q}, \\quad q = (1 - d)^{2^{g}}

    where `n` weights have density `d`, `m` biases are float32, the codebook has `b` bits, and gaps have `g` bits. Every
    gap above `2^g` needs a filler zero, which costs a weight and an index. The paper does not count the Huffman tables;
    `charge_tables` adds a byte per symbol of both alphabets.

    Args:
        weights: Number of weights `n`, above 0.
        density: Share of weights kept, in (0, 1].
        weight_bits: Bits per stored code: `codebook_bits`, or the mean Huffman length.
        index_bits: Bits per stored gap: `gap_bits`, or the mean Huffman length.
        codebook_bits: Bits of a codebook index, at least 0.
        gap_bits: Bits of the longest gap, at least 1.
        biases: Number of biases.
        filler: Measured fillers per kept weight; by default the mean over random masks.
        charge_tables: Whether to count the Huffman tables.

    Returns:
        Bits, rate relative to float32, and fillers per kept weight.

    Raises:
        ValueError: If the density is outside (0, 1] or there are no weights.

    Example:
        >>> size = deep_compression_size(235200, 0.08, 6, 5, codebook_bits=6, gap_bits=5, biases=300)
        >>> round(100 * size.rate, 1)
        3.1

    Source: Han et al., arXiv:1510.00149, tables 2 to 5.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density {density} is outside (0, 1]; give the fraction of weights that are kept")
    if weights <= 0:
        raise ValueError(f"a layer of {weights} weights has no size; give a positive number")
    missed = (1 - density) ** (2**gap_bits)
    filler = missed / (1 - missed) if filler is None else filler
    bits = weights * density * (1 + filler) * (weight_bits + index_bits) + 32 * 2**codebook_bits + 32 * biases
    if charge_tables:
        bits += 8 * (2**codebook_bits + 2**gap_bits)
    return DeepCompressionSize(bits, bits / (32 * (weights + biases)), filler)
