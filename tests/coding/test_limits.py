"""Limits: what a reader refuses, a writer refuses by name; memory and time follow the budget, whatever a file says."""

import time
import tracemalloc

import numpy as np
import pytest

from compressjax.coding import ArtifactError, dumps, inspect, loads, materialize
from compressjax.coding._bits import varint
from compressjax.coding._limits import AXES, NODES, Budget, checked_shape
from tests.coding.samples import spec
from tests.coding.test_file import resealed


def claim(structure, payload=b"", count=1):
    """A file with valid digests whose leaves have this structure and payload."""

    def change(manifest, sections):
        manifest["leaves"] = [[f"w{i}", structure, None] for i in range(count)]
        sections[:] = [payload * count] if payload else []

    return resealed(dumps({"w": np.zeros(4)}), change)


def measured(data, max_bytes):
    """The error of reading, and the peak of its memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError) as caught:
            loads(data, max_bytes=max_bytes)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "shape", [[[0], 10**8], ["8", 10**8], [2**47] * 300, [2**47] * 30, [True, 3], [-1], [1.5], {"0": 1}, 3, [None]]
)
def test_shapes_are_checked_before_they_are_multiplied(tmp_path, shape):
    for structure in (["fill", "bool", shape, 1], {"n": "lab:X", "m": {}, "f": {}, "s": shape}):
        path = tmp_path / "w.cjx"
        path.write_bytes(claim(structure, b"\0"))
        tracemalloc.start()
        with pytest.raises(ArtifactError, match="shape|size|entries"):
            inspect(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()
        assert measured(path.read_bytes(), 10**9)[1] < 10**6


def claims():
    """Streams of few bytes that claim many entries: (structure, payload) by name."""
    n = 4_000_000
    gaps = bytes([1]) + varint(n) + bytes([3]) + varint(0)
    ans = b"\x00\x01\x00\x03\x90\x3c\x14\x00\x00\x01"  # a single one among zeros
    return {
        "gaps": (["gaps", "bool", [n], len(gaps)], gaps),
        "rows": (["rows", "bool", [n // 2, 2], 6], b"\x01\x00\x01\x01\x00\x80"),
        "ans": (["ans", "uint8", [n], 10], ans),
        "packed": (["packed", "uint8", [n], 2], b"\x00\x00"),
        "fill": (["fill", "uint8", [n], 1], b"\x07"),
        "planes": (["planes", "uint32", [n // 4], 13], b"\x01" + b"\x01\x01\x07" * 4),
        "sparse": (["sparse", "uint16", [n // 2], 7], b"\x01\x01\x01" + b"\x02\x02\x00\x00"),
    }


@pytest.mark.parametrize("name", list(claims()))
def test_working_memory_follows_the_budget(name):
    structure, payload = claims()[name]
    data = claim(structure, payload)
    tracemalloc.start()
    assert loads(data, max_bytes=4_000_000).leaves["w0"].nbytes == 4_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000  # the array, at most once more, and blocks
    message, peak = measured(data, 3_999_999)
    assert "needs 4000000 bytes" in message
    assert peak < 10**6


def test_a_zero_axis_hides_no_work():
    message, peak = measured(claim(["rows", "bool", [0, 2**40], 7], b"\x01\x00\x01\x01\x00\x80\x00"), 0)
    assert "without entries has bytes" in message
    assert peak < 10**6


def test_few_bytes_that_stand_for_many_symbols_are_refused():
    budget = Budget(length=1000)
    with pytest.raises(ArtifactError, match="takes more steps.*pass a larger max_bytes"):
        budget.work(2**28)
    Budget(2**30).work(2**28)


def test_tables_cost_what_they_hold():
    # 4096 code lengths of 12 bits: a table of its own in every leaf, over one symbol each
    code = dumps({"w": np.arange(4096, dtype=np.uint16)})
    assert loads(code).leaves["w"][-1] == 4095
    structure = ["huffman", "uint16", [0], 12]
    began = time.process_time()
    message, _ = measured(claim(structure, bytes(12), count=2000), 0)
    assert "without entries has bytes" in message
    assert time.process_time() - began < 2


def test_the_manifest_is_bounded_before_it_is_parsed():
    data = dumps({"w": np.zeros(4)})

    def swell(manifest, sections):
        manifest["metadata"] = {"x": [[]] * 1_000_000}

    with pytest.raises(ArtifactError, match="values in .* bytes, which no reader accepts"):
        resealed(data, swell)  # the writer has the limit of the reader


@pytest.mark.parametrize(("axes", "depth"), [(AXES, NODES // 2), (AXES + 1, 1), (1, NODES)])
def test_what_is_written_is_what_can_be_read(axes, depth):
    array = np.zeros((1,) * axes, np.float32)
    for _ in range(depth):
        array = spec("Sum", {"terms": (array,)})
    if axes <= AXES and 2 * depth <= NODES:
        assert materialize(loads(dumps({"w": array})).leaves["w"]).ndim == axes
        return
    with pytest.raises(ArtifactError, match=f"leaf 'w': .*(at most {AXES}; reshape|deeper than {NODES})"):
        dumps({"w": array})


def test_valid_shapes_pass():
    assert checked_shape([0, 2**40]) == (0, 2**40)
    assert checked_shape([]) == ()
