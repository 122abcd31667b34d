"""Ledger rows: shapes, chains, and a sum that is the file's length."""

import numpy as np
import pytest

from compressjax import coding
from compressjax.coding._leaf import encode
from compressjax.coding._ledger import arrays, chain, dense_shape
from tests.coding.samples import leaves, weights


@pytest.mark.parametrize("name", list(leaves()))
def test_shape_is_that_of_the_dense_tensor(name):
    spec = leaves()[name]
    assert dense_shape(encode(spec)[0]) == coding.materialize(spec).shape


def test_chains_name_nodes_from_the_outside_in():
    names = {name: chain(encode(spec)[0]) for name, spec in leaves().items()}
    assert names["shared"] == "Masked(Codebook)"
    assert names["grid"] == "Quantized"
    assert names["sum"] == "Sum(array, Masked(Codebook))" or names["sum"] == "Sum(Masked(Codebook))"
    assert names["planes"] == "array"


def test_batched_factors_and_unknown_nodes():
    left, right = weights(0, 3, 9, 2), weights(1, 3, 2, 8)
    spec = {"node": "LowRank", "meta": {"inputs": 1}, "fields": {"left": left, "right": right}}
    assert dense_shape(encode(spec)[0]) == (3, 9, 8) == coding.materialize(spec).shape
    assert dense_shape(encode({"node": "New", "meta": {}, "fields": {"x": left}})[0]) is None


def test_rows_add_up_to_the_length():
    data = coding.dumps(leaves(), extras={"program": bytes(range(256)) * 20}, packed_bits={"fill": 13})
    ledger = coding.loads(data).manifest.ledger
    assert ledger.file_bytes == len(data)
    assert ledger.file_bytes == sum(row["file_bytes"] for row in ledger.as_json())
    assert set(ledger.rest) == {"header", "manifest", "checksums", "program"}
    assert 0 < ledger.rest["program"] < 5120
    rows = {row.path: row for row in ledger.leaves}
    assert rows["fill"].packed_bytes == 2
    assert rows["planes"].packed_bytes is None
    assert rows["grid"].float32_bytes == 2400
    assert ledger.packed_bytes == 2
    assert ledger.float32_bytes == 4 * sum(coding.materialize(spec).size for spec in leaves().values())


def test_a_leafs_bytes_are_those_of_its_streams():
    spec = leaves()["shared"]
    structure, payload = encode(spec)
    row = coding.loads(coding.dumps({"a": spec})).manifest.ledger.leaves[0]
    assert row.file_bytes == len(payload) == sum(array[3] for array in arrays(structure))
    assert row.codecs == tuple(array[0] for array in arrays(structure))
    assert np.prod(row.shape) * 4 == row.float32_bytes
