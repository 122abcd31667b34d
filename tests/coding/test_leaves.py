"""Leaves read one by one: the same as all at once, in memory of one leaf, and damage is refused."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from compressjax import coding
from compressjax.coding import ArtifactError, Leaves
from tests.coding.samples import leaves, same, weights


@pytest.fixture
def file(tmp_path):
    shared = weights(0, 40)
    tree = {**leaves(), "one": shared, "two": shared, "empty": np.zeros((0, 3), np.float32)}
    coding.write(tmp_path / "all.cjx", tree, extras={"program": b"abc" * 2000})
    return tmp_path / "all.cjx"


def test_leaves_are_those_of_read_in_any_order(file):
    whole = coding.read(file).leaves
    found = Leaves(file)
    assert list(found) == list(whole)
    assert len(found) == len(whole)
    assert found.manifest == coding.inspect(file)
    backwards = list(whole)[::-1]
    with ThreadPoolExecutor(4) as pool:
        for path, leaf in zip(backwards, pool.map(found.__getitem__, backwards), strict=True):
            assert same(leaf, whole[path])
    with pytest.raises(KeyError):
        found["no such leaf"]


def test_memory_is_that_of_one_leaf(tmp_path):
    draw = np.random.default_rng(0)
    tree = {f"w{i}": draw.integers(0, 256, 300_000).astype(np.uint8) for i in range(8)}
    coding.write(tmp_path / "w.cjx", tree)
    found = Leaves(tmp_path / "w.cjx")
    tracemalloc.start()
    for path, expected in tree.items():
        assert np.array_equal(found[path], expected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 300_000


def test_damage_is_refused_where_it_is_read(file):
    data = bytearray(file.read_bytes())
    rows = {row.path: row for row in Leaves(file).manifest.ledger.leaves}
    start = len(data) - 32 - sum(r.file_bytes for r in rows.values()) - Leaves(file).manifest.ledger.rest["program"]
    data[start + 3] ^= 1
    file.write_bytes(data)
    first = next(iter(rows))
    with pytest.raises(ArtifactError, match=f"leaf '{first}'.*section 1 of"):
        Leaves(file)[first]
    data[40] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match="manifest does not match"):
        Leaves(file)
    file.write_bytes(data[:-1])
    with pytest.raises(ArtifactError, match="truncated"):
        Leaves(file)
    with pytest.raises(ArtifactError, match="cannot be read"):
        Leaves(file.with_name("absent.cjx"))


def test_a_leaf_may_be_converted(file):
    assert Leaves(file, convert=lambda spec: type(spec).__name__)["planes"] == "ndarray"
