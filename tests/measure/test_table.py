"""Formatting."""

import json
from xml.etree import ElementTree

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import measure

ROWS = [
    {"path": "a|b", "shape": [3, 3, 64], "bytes": 12345, "db": float("inf"), "ran": None},
    {"path": "c", "shape": None, "bytes": None, "db": 20.12345, "extra": 1},
]


def test_table():
    assert measure.table(ROWS).splitlines() == [
        "path  shape    bytes     db  ran  extra",
        "a|b   3x3x64  12,345    inf",
        "c                     20.12           1",
    ]


def test_markdown():
    assert measure.markdown(ROWS, ["path", "bytes", "shape"]).splitlines() == [
        "| path | bytes | shape |",
        "|---|---:|---|",
        "| a\\|b | 12,345 | 3x3x64 |",
        "| c |  |  |",
    ]


def test_html_is_escaped_and_parses():
    text = measure.html([{"why": "<b> & more", "bytes": 1234}])
    found = [(cell.tag, cell.text, cell.get("style")) for row in ElementTree.fromstring(text) for cell in row]
    assert found == [
        ("th", "why", "text-align:left"), ("th", "bytes", "text-align:right"),
        ("td", "<b> & more", "text-align:left"), ("td", "1,234", "text-align:right"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", [measure.table, measure.markdown, measure.html])
def test_no_rows_is_no_text(form):
    assert form([]) == ""


@pytest.mark.parametrize("form", [measure.table, measure.markdown, measure.html])
def test_an_unknown_column_is_refused(form):
    with pytest.raises(ValueError, match=r"no row has the columns \['size'\]; there are \['path'"):
        form(ROWS, ["path", "size"])


def test_named_tuples_are_rows():
    rows = measure.ledger({"w": np.zeros((2, 3), np.float32)})
    assert measure.table(rows, ["path", "shape", "packed_bytes"]).splitlines()[1] == "w     2x3              24"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (jnp.arange(2), [0, 1]),
        (jnp.ones((), jnp.bfloat16), 1.0), (np.array([[np.nan, -np.inf]]), [["nan", "-inf"]]), ((), []),
        (measure.Proportion(0.5, 0, 1), {"value": 0.5, "low": 0, "high": 1}), ({1: (2, None)}, {"1": [2, None]}),
    ],
)  # fmt: skip
def test_jsonable(value, expected):
    found = measure.jsonable(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


@pytest.mark.parametrize("value", [object(), {"a": b"bytes"}, 1j, {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="is not valid JSON"):
        measure.jsonable(value)
