"""The per-layer table, put together from its parts."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, compress, explain, measure, quant, tensors
from tests.helpers import array

DENSE = {"a": array(0, (6, 4)), "b": array(1, (4, 3)), "bias": array(2, (3,)), "spare": array(3, (2, 2))}
MASK = np.arange(24).reshape(6, 4) % 2 == 0
TREE = {
    "a": tensors.Masked(DENSE["a"], MASK),
    "b": tensors.LowRank(DENSE["b"], jnp.eye(3)),
    "bias": DENSE["bias"],
    "spare": tensors.Masked(DENSE["spare"], np.ones((2, 2), bool)),
}


def apply(params, x):
    h = x @ params["a"]
    return jnp.cumsum(params["b"], axis=0).sum() + h @ params["b"] + params["bias"][None]


def rows(**options):
    return {row["path"]: row for row in measure.leaves(TREE, **options)}


def test_execution_is_the_worst_use():
    found = rows(explained=explain(apply)(TREE, jax.ShapeDtypeStruct((2, 6), jnp.float32)))
    assert found["a"]["execution"] == "dense"
    assert found["a"]["reason"].startswith("dot_general: ")
    assert found["b"]["execution"] == "fallback"
    assert "cumsum" in found["b"]["reason"]
    assert found["bias"]["execution"] == "array"
    assert found["spare"]["execution"] == "unused"
    assert found["total"]["execution"] is None


def test_native_execution():
    tree = {"b": TREE["b"]}
    used = explain(lambda p, x: x @ p["b"])(tree, array(4, (2, 4)))
    assert measure.leaves(tree, explained=used)[0]["execution"] == "native"
    assert measure.leaves(tree, explained=used)[0]["reason"] == ""


def test_noise_is_joined():
    found = rows(original=DENSE)
    a = np.asarray(DENSE["a"])
    expected = 10 * math.log10((a**2).sum() / (a[~MASK] ** 2).sum())
    assert found["a"]["sqnr_db"] == pytest.approx(expected, rel=1e-5)
    assert found["bias"]["sqnr_db"] == math.inf
    assert found["total"]["sqnr_db"] is None


def test_columns_are_there_only_when_asked_for():
    assert set(rows()["a"]) == {*measure.LeafRow._fields, "host_bytes", "memory_bytes"}
    assert "total" not in rows(total=False)


def test_three_places_of_four_bit_codes(tmp_path):
    """On disk, packed on the host, and as int8 on a device."""
    tree = compress({"w": array(0, (64, 32))}, quant.rtn(4, granularity=32))
    row = measure.leaves(tree, manifest=artifact.save(tmp_path / "m.cjx", tree))[0]
    scales = 4 * 2 * 32
    assert (row["host_bytes"], row["memory_bytes"]) == (64 * 32 // 2 + scales, 64 * 32 + scales)
    assert 0 < row["file_bytes"] < row["host_bytes"]


def test_file_bytes_add_up_and_rows_are_json(tmp_path):
    manifest = artifact.save(tmp_path / "m.cjx", TREE)
    used = explain(apply)(TREE, array(4, (2, 6)))
    found = measure.leaves(TREE, original=DENSE, explained=used, manifest=manifest)
    size = (tmp_path / "m.cjx").stat().st_size
    assert sum(row["file_bytes"] for row in found[:-1]) == found[-1]["file_bytes"] == size
    text = json.dumps(measure.jsonable(found), allow_nan=False)
    assert json.loads(text)[0]["shape"] == [6, 4]
    assert f"{size:,}" in measure.table(found).splitlines()[-1]
