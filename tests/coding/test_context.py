"""Adaptive coding by context against the cross-entropy of its own model and against order-0 coders."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, _array, _context
from compressjax.coding._bits import varint
from compressjax.coding._limits import Budget


def codes(seed=0, shape=(160, 120), spread=0.8):
    """Codes of normal weights whose rows and columns differ in scale, as those of trained layers do."""
    draw = np.random.default_rng(seed)
    scale = np.exp((draw.normal(size=(*shape[:-1], 1)) + draw.normal(size=shape[-1])) * spread)
    return (np.clip(np.rint(draw.normal(size=shape) * scale * 1.5), -7, 7) - 3).astype(np.int8)


def cost(values, columns):
    """Bits under the model, added up symbol by symbol."""
    flat = values.reshape(-1).astype(np.int32) - int(values.min())
    matrix, bits = flat.reshape(-1, columns), 0.0

    def coder(part, weights):
        nonlocal bits
        symbols = matrix[part.start : part.stop, part.left : part.right].reshape(-1)[part.order]
        for first, last, model in zip([0, *part.ends], part.ends, weights, strict=False):
            bits -= np.log2(model[symbols[first:last]] / model.sum()).sum()
        return symbols

    center, alphabet = int(np.bincount(flat).argmax()), int(flat.max()) + 1
    rows = np.concatenate(list(_context.walk(*matrix.shape, alphabet, center, coder)))
    assert np.array_equal(rows, matrix)
    return bits


def read(data, values):
    return np.concatenate(list(_context.decode(data, values.dtype, values.size, Budget()))).reshape(values.shape)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool"])
@pytest.mark.strict
def test_codes_come_back(dtype):
    drawn = codes(shape=(9, 15, 25)) + np.int8(0 if dtype == "int8" else 10)
    values = drawn > 8 if dtype == "bool" else drawn.astype(dtype)
    ((estimate, name, run),) = _context.candidates(values)
    data = run()
    assert name == "context"
    assert abs(len(data) - estimate) < 0.02 * estimate + 8
    back = read(data, values)
    assert back.dtype == values.dtype
    assert np.array_equal(back, values)


def test_the_size_is_the_cross_entropy_of_the_model():
    values = codes()
    bits = cost(values, 120)
    assert bits / 8 <= len(_context.candidates(values)[0][2]()) <= 1.005 * bits / 8 + 8


def test_rows_and_columns_of_different_scale_save_a_tenth():
    sizes = _array.codec_bytes(codes())
    assert sizes["context"] < 0.9 * sizes["ans"] < 0.9 * sizes["huffman"]
    assert _array.encode(codes())[0] == "context"


def test_equal_scales_cost_little():
    sizes = _array.codec_bytes(codes(spread=0.0, shape=(300, 200)))
    assert sizes["context"] < 1.005 * sizes["ans"]


@pytest.mark.parametrize("shape", [(40, 50), (2048,), (4096, 1), (1, 70000)])
def test_what_cannot_be_split_is_left_to_other_codecs(shape):
    assert _context.candidates(np.arange(np.prod(shape), dtype=np.uint32).reshape(shape) % 200) == []


def test_altered_payloads_are_refused():
    values = codes()
    data = _context.candidates(values)[0][2]()
    for head, message in (
        (varint(19) + varint(14) + varint(7), "7 columns"),
        (varint(19) + varint(14) + varint(120) + varint(15), "around code 15"),
        (varint(19) + varint(0) + varint(120) + varint(0), "of 1"),
        (varint(300) + varint(14) + varint(120) + varint(1), "outside int8"),
    ):
        with pytest.raises(ArtifactError, match=message):
            read(head + data[4:], values)
    with pytest.raises(ArtifactError, match="does not end with its last symbol"):
        read(data[:-4] + b"\1\1\1\1\1\1\1\1", values)
    spent = Budget()
    spent.work(spent._steps)
    with pytest.raises(ArtifactError, match="more steps"):
        list(_context.decode(data, values.dtype, values.size, spent))
