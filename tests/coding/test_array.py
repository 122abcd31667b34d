"""Any array: an exact round trip, never longer than raw, and with the expected codec."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compressjax.coding import CODECS, ArtifactError
from compressjax.coding._array import _may_deflate, decode, encode
from compressjax.coding._limits import Budget
from compressjax.theory import empirical_entropy
from tests.coding.samples import bell, leaves, mask, same, weights

TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
)


def roundtrip(array: np.ndarray) -> tuple[str, int]:
    codec, payload = encode(array)
    assert same(decode(codec, payload, array.dtype, array.shape, Budget()), array)
    return codec, len(payload)


@given(hnp.arrays(TYPES.map(lambda t: t.newbyteorder("=")), hnp.array_shapes(min_dims=0, min_side=0, max_side=7)))
def test_any_array_comes_back(array):
    assert roundtrip(array)[1] <= array.nbytes


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_every_bit_of_a_float_survives(name):
    width = np.dtype(name).itemsize
    words = np.frombuffer(np.random.default_rng(0).bytes(400 * width), f"u{width}").copy()
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], name)
    array = np.concatenate([words.view(name), special])  # random words include NaN with payloads
    assert roundtrip(array)[0] in ("raw", "planes")


@pytest.mark.parametrize(
    "name", ["fill", "planes", "sparse", "palette", "gaps", "bernoulli", "huffman", "deflate", "packed"]
)
def test_the_fitting_codec_wins(name):
    assert roundtrip(leaves()[name])[0] == name


def test_the_rest_of_the_codecs_win_too():
    assert roundtrip(mask(0, 200, 100))[0] == "rows"
    assert roundtrip(bell(0, 2000, 32).astype(np.int8))[0] == "ans"
    assert roundtrip(np.random.default_rng(0).integers(0, 256, 64).astype(np.uint8))[0] == "raw"
    assert len(CODECS) == 14  # context and runs have test files of their own


def test_codes_of_any_width_cost_their_entropy():
    symbols = bell(1, 50_000, 40)
    bound = empirical_entropy(symbols) * symbols.size / 8
    for dtype in (np.int8, np.uint16, np.int64):
        assert roundtrip(symbols.astype(dtype))[1] <= 1.01 * bound


def test_zeros_of_a_pruned_array_cost_their_entropy_only():
    values = np.where(np.random.default_rng(2).random((100, 100)) < 0.1, weights(2, 100, 100), 0)
    assert roundtrip(values.astype(np.float32))[1] < 1000 * 4 + 700


def test_floats_lose_their_exponents_redundancy():
    assert roundtrip(weights(3, 20_000))[1] < 0.85 * 80_000


def test_floats_behind_integers_are_rotated():
    words = (weights(4, 20_000).view(np.uint32) >> 16).astype(np.uint16)
    payload = encode(words, rotate=True)
    assert len(payload[1]) < 0.7 * 40_000
    assert decode(*payload, words.dtype, words.shape, Budget()).tolist() == words.tolist()


def test_long_noise_is_not_deflated(monkeypatch):
    monkeypatch.setattr("compressjax.coding._array._DEFLATE_ALWAYS", 1000)
    monkeypatch.setattr("compressjax.coding._array._DEFLATE_SAMPLE", 500)
    tiled = np.tile(np.random.default_rng(5).integers(0, 256, 100).astype(np.uint8), 100)
    assert roundtrip(tiled)[0] == "deflate"
    assert roundtrip(np.random.default_rng(6).integers(0, 256, 10_000).astype(np.uint8))[0] == "raw"


def test_codecs_that_do_not_fit_are_refused():
    with pytest.raises(ArtifactError, match="unknown codec 'zip'"):
        decode("zip", b"", np.dtype(np.int8), (1,), Budget())
    with pytest.raises(ArtifactError, match="codec 'rows' does not hold int8"):
        decode("rows", b"", np.dtype(np.int8), (1,), Budget())
    with pytest.raises(ArtifactError, match="codec 'ans' does not hold float32"):
        decode("ans", b"", np.dtype(np.float32), (1,), Budget())
    codec, payload = encode(leaves()["palette"])
    with pytest.raises(ArtifactError, match="bytes are left"):
        decode(codec, payload + b"\0", np.dtype(np.float64), (30, 30), Budget())


def test_streams_inside_streams_end():
    bottomless = b"\x0b\x7f" * 50  # sparse in sparse in sparse
    with pytest.raises(ArtifactError, match="damaged"):
        decode("sparse", bottomless, np.dtype(np.float32), (4,), Budget())


def test_the_slow_level_runs_only_where_it_can_win():
    rng = np.random.default_rng(0)
    noise, repeated = rng.integers(0, 256, 50_000).astype(np.uint8).tobytes(), bytes(range(200)) * 250
    assert not _may_deflate(noise, best=len(noise))
    assert _may_deflate(repeated, best=len(repeated) * 7 // 8)
    assert _may_deflate(noise[:1000], best=875)
    assert encode(np.frombuffer(repeated, np.uint8))[0] == "deflate"
