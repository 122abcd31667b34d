"""Run lengths of masks: round trips, regular runs, and damage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError, _array
from compressjax.coding._bits import varint
from compressjax.coding._limits import Budget
from compressjax.coding._runs import candidate, decode


def read(data, count):
    out = np.empty(count, bool)
    decode(data, out, Budget())
    return out


@given(st.booleans(), st.lists(st.integers(1, 5000), min_size=2, max_size=12))
def test_runs_come_back(first, lengths):
    flat = np.repeat((np.arange(len(lengths)) + first) % 2 == 1, lengths)
    estimate, name, run = candidate(flat)
    assert name == "runs"
    assert read(run(), flat.size).tolist() == flat.tolist()
    assert len(run()) <= estimate + 24


def test_one_run_is_no_candidate():
    assert candidate(np.ones(9, bool)) is None


def test_long_runs_beat_every_other_codec():
    draw = np.random.default_rng(0)
    flat = np.repeat(np.arange(400) % 2 == 0, draw.integers(1, 999, 400))
    sizes = _array.codec_bytes(flat)
    assert min(sizes, key=sizes.get) == "runs"
    # A length is uniform in 1 to 998: the entropy, and a little for the classes.
    assert 400 * np.log2(998) / 8 < sizes["runs"] < 1.08 * 400 * np.log2(998) / 8


def test_altered_runs_are_refused():
    flat = np.arange(64) % 9 < 3
    data = candidate(flat)[2]()
    with pytest.raises(ArtifactError, match="have 64 entries"):
        read(data, 70)
    with pytest.raises(ArtifactError, match="runs by code"):
        read(bytes([8]) + data[1:], 64)
    with pytest.raises(ArtifactError, match="where the runs of a mask need"):
        read(data + b"\0", 64)
    alike = candidate(np.arange(64) % 2 == 0)[2]()
    assert read(alike, 64).tolist() == [i % 2 == 0 for i in range(64)]
    with pytest.raises(ArtifactError, match="longer than an array"):
        read(alike[:-1] + bytes([60]), 64)
    with pytest.raises(ArtifactError, match="1 runs|one is enough|runs by code"):
        read(bytes([6]) + varint(1) + alike[2:], 64)
