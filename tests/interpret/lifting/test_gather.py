"""Rows of compressed tables, against NumPy indexing: every mode, axis and kind of index."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors
from compressjax.core import Dense, ops
from compressjax.interpret.lifting._gather import apply_gather
from tests import helpers
from tests.interpret import samples

INDICES = {
    "list": [0, 5, 2, 2, -1, -6, 6, 7, 100, -7, -100, 1],  # from the end and out of range as well
    "matrix": [[0, 1], [5, 5], [3, 0]],
    "scalar": 3,
    "none": [],
}


def take(table: np.ndarray, indices: Any, axis: int, mode: str) -> np.ndarray:
    """`jnp.take` from its documentation: negative indices count from the end; then clip, or fill with NaN."""
    indices = np.asarray(indices, int)
    n = table.shape[axis]
    indices = np.where(indices < 0, indices + n, indices) if mode != "clip" else indices
    outside = (indices < 0) | (indices >= n)
    out = np.take(table, np.clip(indices, 0, n - 1), axis=axis)
    if mode == "fill":
        shape = [1] * axis + list(indices.shape) + [1] * (table.ndim - axis - 1)
        out = np.where(outside.reshape(shape), np.nan, out)
    return out


@pytest.mark.turns(2)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("mode", ["fill", "clip"])
def test_rows_of_every_node(mode: str, axis: int) -> None:
    nodes = {**samples.zoo((6, 8)), **samples.active((6, 8))}

    def f(ws: Any) -> Any:
        return {
            (name, which): jnp.take(w, jnp.asarray(indices, jnp.int32), axis=axis, mode=mode)
            for name, w in ws.items()
            for which, indices in INDICES.items()
        }

    got = samples.quick(samples.lifted(f))(nodes)
    for (name, which), out in got.items():
        asked = take(helpers.brute(nodes[name]), INDICES[which], axis, mode)
        assert out.shape == asked.shape
        np.testing.assert_allclose(out, asked, atol=1e-5, err_msg=f"{name}, {which}")


@pytest.mark.turns(3)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tables_of_three_axes(axis: int) -> None:
    nodes = samples.zoo((4, 6, 2))
    indices = jnp.array([[1, 0], [3, -1]])
    got = samples.quick(samples.lifted(lambda ws: {k: jnp.take(w, indices, axis=axis) for k, w in ws.items()}))(nodes)
    for name, node in nodes.items():
        np.testing.assert_allclose(got[name], take(helpers.brute(node), indices, axis, "fill"), atol=1e-5, err_msg=name)


def test_embeddings_stay_compressed() -> None:
    """Row look-ups run natively on every kind of node, and no dense table is in the program."""
    ids = jnp.array([3, 1])
    for name, node in {**samples.zoo((60, 8)), **samples.active((60, 8))}.items():
        assert samples.statuses(lambda w: jnp.take(w, ids, axis=0), node) == {("gather", "native")}, name
        text = jax.jit(interpret.lift(lambda w: jnp.take(w, ids, axis=0))).lower(node).as_text()
        dense_inputs = name.startswith(("masked", "sum"))  # their value is a dense table by definition
        full = "60x8xf32" in text.replace("tensor<60x8xf32>) ->", "") if dense_inputs else "60x8xf32" in text
        assert dense_inputs or name.endswith("every entry") or not full, name
        assert "8x60xf32" not in text, name


@pytest.mark.turns(3)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32"])
def test_index_dtypes(dtype: str) -> None:
    node = samples.grid(samples.rng(), (300, 4), (150, 1))
    ids = jnp.asarray([0, 127, 100], dtype)
    for mode in ("fill", "clip"):
        got = interpret.lift(lambda w, i, mode=mode: jnp.take(w, i, axis=0, mode=mode))(node, ids)
        np.testing.assert_allclose(got, helpers.brute(node)[[0, 127, 100]], rtol=1e-6)


@pytest.mark.parametrize("fill", [None, 0.0, -7.5])
def test_fill_values(fill: float | None) -> None:
    node = samples.codebook(samples.rng(), 6, 4)
    out = interpret.lift(lambda w: jnp.take(w, jnp.array([0, 9, -9]), axis=0, mode="fill", fill_value=fill))(node)
    asked = np.full(4, np.nan if fill is None else fill)
    np.testing.assert_array_equal(out[1], asked)
    np.testing.assert_array_equal(out[2], asked)
    np.testing.assert_allclose(out[0], helpers.brute(node)[0], rtol=1e-6)


def test_advanced_indexing_and_promises() -> None:
    node, ids = samples.low_rank(samples.rng(), (6, 8)), jnp.array([[4, 0]])
    w = helpers.brute(node)
    samples.assert_close(interpret.lift(lambda w: w[ids])(node), w[np.asarray(ids)])
    samples.assert_close(interpret.lift(lambda w: w[:, ids])(node), w[:, np.asarray(ids)])
    samples.assert_close(interpret.lift(lambda w: w.at[ids].get(mode="promise_in_bounds"))(node), w[np.asarray(ids)])


def test_other_gathers_fall_back_and_are_right() -> None:
    node = samples.codebook(samples.rng(), 6, 8)
    w = helpers.brute(node)
    rows, columns = jnp.array([0, 3]), jnp.array([1, 7])
    cases = {
        "points": (lambda w: w[rows, columns], w[[0, 3], [1, 7]]),
        "along an axis": (lambda w: jnp.take_along_axis(w, jnp.zeros((6, 1), int), axis=1), w[:, :1]),
    }
    for name, (f, asked) in cases.items():
        samples.assert_close(samples.lifted(f)(node), asked, name)
        assert {s for _, s in samples.statuses(f, node)} <= {"dense", "fallback"}, name


def test_a_node_of_indices_is_made_dense() -> None:
    table = samples.floats(samples.rng(), 6, 3)
    node = samples.codebook(samples.rng(1), 2, 4, table=jnp.array([0.0, 3.0, 5.0]))
    got = samples.lifted(lambda w: table[w.astype(int)])(node)
    np.testing.assert_array_equal(got, table[helpers.brute(node).astype(int)])


def test_one_table_for_embedding_and_head() -> None:
    """A weight used twice: rows are read from it and it closes the network, transposed."""
    ids = jnp.array([[1, 2, 0], [5, 5, 3]])

    def tied(p: Any, ids: jax.Array) -> jax.Array:
        return jnp.tanh(jnp.take(p["table"], ids, axis=0)) @ p["table"].T

    nodes = samples.zoo((6, 4))
    got = samples.quick(samples.lifted(lambda ws: {k: tied({"table": w}, ids) for k, w in ws.items()}))(nodes)
    for name, node in nodes.items():
        w = helpers.brute(node)
        samples.assert_close(got[name], np.tanh(w[np.asarray(ids)]) @ w.T, name)
    node = samples.low_rank(samples.rng(), (6, 4))
    assert samples.statuses(tied, {"table": node}, ids) == {("gather", "native"), ("dot_general", "native")}
    g = samples.floats(samples.rng(2), 2, 3, 6)
    grads = jax.jit(jax.grad(lambda n: jnp.sum(g * interpret.lift(tied)({"table": n}, ids))))(node)
    dense = jax.jit(jax.grad(lambda n: jnp.sum(g * tied({"table": n.materialize()}, ids))))(node)
    samples.assert_close(grads.left, dense.left)
    samples.assert_close(grads.right, dense.right)


def test_linen_embedding_attends() -> None:
    layer = nn.Embed(6, 4)
    node = samples.grid(samples.rng(), (6, 4), (6, 1), activation="dynamic")
    tree, x = {"params": {"embedding": node}}, samples.floats(samples.rng(1), 3, 4)
    w = helpers.brute(node)
    samples.assert_close(interpret.lift(layer.apply)(tree, jnp.array([0, 4])), w[[0, 4]])
    logits = interpret.lift(lambda p, x: layer.apply(p, x, method="attend"))(tree, x)
    assert (np.abs(logits - np.asarray(x) @ w.T) <= np.asarray(interpret.integer_bound(x, w.T))).all()


def test_rows_alone() -> None:
    indices = jnp.array([5, 0])
    nodes = samples.zoo((6, 4, 2))
    nodes["stacked"] = tensors.Codebook(samples.grid(samples.rng(), (6, 3)), jnp.zeros((6, 2), jnp.uint8))
    got = samples.quick(lambda ns: {name: ops.rows(node, indices) for name, node in ns.items()})(nodes)
    for name, node in nodes.items():
        samples.assert_close(got[name], helpers.brute(node)[[5, 0]], name)


def test_unknown_modes_are_refused() -> None:
    node = samples.floats(samples.rng(), 6, 4)
    params = samples.equation(lambda w: jax.lax.gather(
        w, jnp.zeros((2, 1), int),
        jax.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)), (1, 4),
    ), node).params  # fmt: skip
    assert isinstance(apply_gather({**params, "mode": "another"}, [node, jnp.zeros((2, 1), int)]), Dense)
