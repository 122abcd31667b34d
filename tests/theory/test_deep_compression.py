"""The accounting against tables 2 to 5 of the paper (arXiv:1510.00149)."""

import numpy as np
import pytest

from compressjax.theory import deep_compression_size

# layer: weights, biases, density, bits of the codebook, bits of the gap, published rate without Huffman in percent
PACKED = [
    ("LeNet-300-100 ip1", 235200, 300, 0.08, 6, 5, 3.1, 0.03),
    ("LeNet-300-100 ip2", 30000, 100, 0.09, 6, 5, 3.8, 0.03),
    ("LeNet-300-100 ip3", 1000, 10, 0.26, 6, 5, 15.7, 0.10),
    ("LeNet-5 conv1", 500, 20, 0.66, 8, 5, 78.5, 0.10),
    ("LeNet-5 conv2", 25000, 50, 0.12, 8, 5, 6.0, 0.03),
    ("LeNet-5 ip1", 400000, 500, 0.08, 5, 5, 2.7, 0.06),
    ("LeNet-5 ip2", 5000, 10, 0.19, 5, 5, 6.9, 0.03),
    ("AlexNet conv1", 34848, 96, 0.84, 8, 4, 32.6, 0.03),
    ("AlexNet conv2", 307200, 256, 0.38, 8, 4, 14.5, 0.03),
]
# and with mean Huffman lengths of codes and gaps
HUFFMAN = [
    ("LeNet-300-100 ip1", 235200, 300, 0.08, 4.4, 3.7, 6, 5, 2.32, 0.03),
    ("LeNet-300-100 ip2", 30000, 100, 0.09, 4.4, 4.3, 6, 5, 3.04, 0.03),
    ("LeNet-5 ip2", 5000, 10, 0.19, 5.2, 3.7, 5, 5, 6.13, 0.03),
    ("AlexNet conv2", 307200, 256, 0.38, 5.5, 2.3, 8, 4, 9.43, 0.03),
]


# Densities are printed with one or two digits. Where a codebook is half of the layer, 10 % is allowed; the masks of
# both fc7 have fewer fillers than random ones, as gaps cluster.
ROUNDED = [
    ("LeNet-300-100 ip3", 1000, 10, 0.26, 4.3, 3.2, 6, 5, 12.70, 0.10),
    ("LeNet-5 conv1", 500, 20, 0.66, 7.2, 1.5, 8, 5, 67.45, 0.10),
    ("LeNet-5 conv2", 25000, 50, 0.12, 7.2, 3.9, 8, 5, 5.28, 0.03),
    ("LeNet-5 ip1", 400000, 500, 0.08, 4.5, 4.5, 5, 5, 2.45, 0.03),
    ("AlexNet conv1", 34848, 96, 0.84, 6.3, 1.2, 8, 4, 20.53, 0.03),
    ("AlexNet conv3", 884736, 384, 0.35, 5.1, 2.6, 8, 4, 8.44, 0.03),
    ("AlexNet conv4", 663552, 384, 0.37, 5.2, 2.5, 8, 4, 9.11, 0.03),
    ("AlexNet conv5", 442368, 256, 0.37, 5.6, 2.5, 8, 4, 9.43, 0.03),
    ("AlexNet fc6", 37748736, 4096, 0.09, 3.9, 3.2, 5, 4, 2.39, 0.03),
    ("AlexNet fc7", 16777216, 4096, 0.09, 3.6, 3.7, 5, 4, 2.46, 0.05),
    ("AlexNet fc8", 4096000, 1000, 0.25, 4.0, 3.2, 5, 4, 5.85, 0.03),
    ("VGG-16 fc6", 102760448, 4096, 0.04, 3.6, 3.5, 5, 5, 1.10, 0.03),
    ("VGG-16 fc7", 16777216, 4096, 0.04, 4.0, 4.3, 5, 5, 1.25, 0.08),
    ("VGG-16 fc8", 4096000, 1000, 0.23, 4.0, 3.4, 5, 5, 5.24, 0.03),
]


@pytest.mark.parametrize("row", ROUNDED, ids=lambda row: row[0])
def test_published_rates_lie_in_what_rounding_allows(row):
    _, weights, biases, density, code, gap, book, width, rate, tolerance = row
    low, high = (
        deep_compression_size(
            weights, density + side * 0.005, code + side * 0.05, gap + side * 0.05,
            codebook_bits=book, gap_bits=width, biases=biases,
        ).rate
        for side in (-1, 1)
    )  # fmt: skip
    assert (1 - tolerance) * low <= rate / 100 <= (1 + tolerance) * high


@pytest.mark.parametrize("row", PACKED, ids=lambda row: row[0])
def test_published_rates_without_huffman(row):
    _, weights, biases, density, code, gap, rate, tolerance = row
    size = deep_compression_size(weights, density, code, gap, codebook_bits=code, gap_bits=gap, biases=biases)
    assert 100 * size.rate == pytest.approx(rate, rel=tolerance)


@pytest.mark.parametrize("row", HUFFMAN, ids=lambda row: row[0])
def test_published_rates_with_huffman(row):
    _, weights, biases, density, code, gap, book, width, rate, tolerance = row
    size = deep_compression_size(weights, density, code, gap, codebook_bits=book, gap_bits=width, biases=biases)
    assert 100 * size.rate == pytest.approx(rate, rel=tolerance)


def test_the_whole_of_lenet_300_100_is_31_times_smaller():
    """The paper prints 32; its own rows, weighted by their layers, make 31."""
    layers = [
        deep_compression_size(n, d, b, g, codebook_bits=b, gap_bits=g, biases=m) for _, n, m, d, b, g, *_ in PACKED[:3]
    ]
    assert 32 * 266610 / sum(layer.bits for layer in layers) == pytest.approx(31, rel=0.01)


def test_expected_fillers_are_those_of_a_random_mask():
    """A gap of more than 2^g positions needs a filler for each 2^g it skips."""
    density, gap = 0.08, 4
    kept = np.flatnonzero(np.random.default_rng(0).random(10**6) < density)
    fillers = ((np.diff(kept) - 1) // 2**gap).sum() / kept.size
    size = deep_compression_size(10**6, density, 5, gap, codebook_bits=5, gap_bits=gap)
    assert size.filler == pytest.approx(fillers, rel=0.02)


def test_measured_fillers_and_tables_are_charged():
    plain = deep_compression_size(1000, 0.1, 5, 4, codebook_bits=5, gap_bits=4, filler=0.0)
    assert plain.bits == 100 * 9 + 32 * 32
    assert plain.rate == plain.bits / 32000
    assert deep_compression_size(1000, 0.1, 5, 4, codebook_bits=5, gap_bits=4, filler=0.5).bits == 150 * 9 + 1024
    charged = deep_compression_size(1000, 0.1, 5, 4, codebook_bits=5, gap_bits=4, filler=0.0, charge_tables=True)
    assert charged.bits - plain.bits == 8 * (32 + 16)


def test_a_dense_layer_has_no_filler():
    assert deep_compression_size(100, 1.0, 8, 5, codebook_bits=8, gap_bits=5).filler == 0


@pytest.mark.parametrize("density", [0, -0.1, 1.1])
def test_densities_outside_the_unit_interval_are_refused(density):
    with pytest.raises(ValueError, match="outside"):
        deep_compression_size(100, density, 5, 5, codebook_bits=5, gap_bits=5)


def test_empty_layers_are_refused():
    with pytest.raises(ValueError, match="layer of 0 weights"):
        deep_compression_size(0, 0.5, 5, 5, codebook_bits=5, gap_bits=5)
