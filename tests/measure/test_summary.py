"""The table of a tree at a glance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax as cj
from compressjax import measure, tensors

TREE = {
    "a": tensors.Masked(np.zeros((8, 4), np.float32), np.arange(32).reshape(8, 4) % 4 == 0),
    "b": tensors.LowRank(jnp.ones((4, 1)), jnp.ones((1, 4))),
    "bias": np.zeros(4, np.float32),
    "spare": tensors.Codebook(np.zeros(4, np.float32), np.zeros((3, 3), np.uint8)),
}


def apply(params, batch, *, scale):
    return scale * (batch["x"] @ params["a"] @ params["b"] + params["bias"][None])


def test_text_html_and_rows_say_the_same():
    found = cj.summary(TREE, apply, {"x": jax.ShapeDtypeStruct((2, 8), jnp.float32)}, scale=2.0)
    why = "dot_general: " + cj.explain(lambda p, x: x @ p["a"])(TREE, jnp.ones((2, 8)))[0].reason
    assert why != "dot_general: "
    lines = str(found).splitlines()
    assert [line.split()[:6] for line in lines] == [
        ["path", "shape", "node", "bits/weight", "float32", "bytes"],
        ["a", "8x4", "Masked", "9", "128", "36"],  # 32 bits of mask and 8 floats
        ["b", "4x4", "LowRank", "16", "64", "32"],
        ["bias", "4", "dense", "32", "16", "16"],
        ["spare", "3x3", "Codebook", "16.22", "36", "19"],  # 9 codes of 2 bits and 4 floats
        ["total", "13.41", "244", "103", "233", "1"],
    ]
    assert [line[lines[0].index("ran") :].split("  ")[0].rstrip() for line in lines[1:]] == [
        "dense", "native", "array", "unused", "1 of 3 native",
    ]  # fmt: skip
    assert lines[1].endswith(why)
    assert [row["packed_bytes"] for row in found.rows] == [36, 32, 16, 19, 103]
    assert repr(found) == str(found)
    assert found._repr_html_() == measure.html(found._shown())


def test_without_a_function_nothing_is_said_of_runs():
    assert str(cj.summary(TREE)).splitlines()[0].split()[-3:] == ["bytes", "in", "memory"]
    with pytest.raises(ValueError, match="depends on its mask"):
        cj.summary(jax.eval_shape(lambda x: x, TREE))
