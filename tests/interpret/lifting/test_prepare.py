"""`prepare`: the same results, and the prepared form of every node."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, measure, tensors
from compressjax.tensors.quantized import _prepare
from tests import helpers
from tests.interpret import samples


def layer(w: Any, x: jax.Array) -> jax.Array:
    """A dense layer."""
    return x @ w


@pytest.mark.turns(2)
@pytest.mark.usefixtures("fast_integers")
@pytest.mark.parametrize("shape", [(6, 8), (300, 320)])
def test_the_function_stays_the_same(shape: tuple[int, int]) -> None:
    x = samples.floats(samples.rng(1), 3, shape[0])
    nodes = {**samples.zoo((6, 8)), **samples.active((6, 8))} if shape[0] == 6 else samples.active(shape)
    keep = "integers" if shape[0] == 6 else "speed"
    ready = jax.jit(lambda t: interpret.prepare(t, keep=keep))(nodes)
    tensor = jax.jit(core.materialize)(nodes)
    same = jax.jit(core.materialize)(ready)
    got = samples.quick(samples.lifted(lambda ws, x: {name: layer(w, x) for name, w in ws.items()}))(ready, x)
    for name, node in nodes.items():
        dense = np.asarray(tensor[name], np.float64)
        room = 0.0
        if isinstance(node, tensors.Quantized) and node.activation:
            room = (samples.errors(node, x, (1,)) @ np.abs(dense)).max()
        assert np.abs(helpers.float64(got[name]) - helpers.float64(x) @ dense).max() <= room + 1e-4, name
        samples.assert_close(same[name], dense, name)


def test_sums_collect_their_dense_terms() -> None:
    draw = samples.rng()
    low, masked, table = samples.low_rank(draw, (4, 6)), samples.floats(draw, 4, 6), samples.codebook(draw, 4, 6)
    node = tensors.Sum((low, tensors.Masked(masked, samples.mask(draw, 4, 6)), table))
    ready = interpret.prepare(node)
    assert isinstance(ready, tensors.Sum)
    assert [type(term).__name__ for term in ready.terms] == ["LowRank", "ArrayImpl"]
    samples.assert_close(ready.materialize(), helpers.brute(node))
    plain = interpret.prepare(tensors.Sum((table, masked)))
    assert isinstance(plain, jax.Array)
    samples.assert_close(plain, helpers.brute(table) + helpers.float64(masked))
    two = interpret.prepare(tensors.Sum((low, low)))
    assert isinstance(two, tensors.Sum)
    assert len(two.terms) == 2


def test_other_leaves_and_structure_are_untouched() -> None:
    tree = {"a": [jnp.ones(2), None, 3], "b": samples.codebook(samples.rng(), 2, 3), "s": "text"}
    ready = interpret.prepare(tree)
    assert ready["a"][0] is tree["a"][0]
    assert ready["s"] == "text"
    assert set(ready) == set(tree)


@pytest.mark.usefixtures("fast_integers")
def test_it_can_be_compiled() -> None:
    node = samples.grid(samples.rng(), (256, 256), (1, 256), activation="dynamic")
    ready = jax.jit(interpret.prepare)({"w": node, "m": samples.codebook(samples.rng(), 4, 4)})
    assert ready["w"].order == (1, 0)
    samples.assert_close(ready["w"].materialize(), node.materialize(), tolerance=1e-6)


def test_tables_that_are_read_by_row_stay_packed() -> None:
    """A table of which rows are read, one that is a head too, and one that nothing reads."""
    draw = samples.rng()
    tree = {
        "rows": samples.grid(draw, (40, 8), (1, 8), bits=4),
        "affine": samples.grid(draw, (40, 8), (40, 1), bits=2, affine=True),
        "shared": samples.codebook(draw, 40, 8),
        "tied": samples.grid(draw, (40, 8), (40, 1), bits=4),
        "unused": samples.grid(draw, (40, 8), bits=3),
    }
    ids = jnp.array([[3, 39], [0, 3]])

    def fn(p: Any, ids: jax.Array) -> jax.Array:
        h = p["rows"][ids] + p["affine"][ids] + jnp.take(p["shared"], ids, axis=0) + p["tied"][ids]
        return h @ p["tied"].T

    ready = interpret.prepare(tree, fn, ids)
    kinds = {name: getattr(node, "codes", node).dtype.name for name, node in ready.items()}
    assert kinds == {"rows": "int4", "affine": "uint2", "shared": "uint4", "tied": "float32", "unused": "int4"}
    assert measure.memory_bytes(ready)["rows"] == 40 * 8 // 2 + 8 * 4
    statuses = {(row.path, row.status) for row in interpret.explain(fn)(ready, ids)}
    assert statuses == {("rows", "native"), ("affine", "native"), ("shared", "native"), ("unused", "unused")}
    asked = fn(core.materialize(tree), ids)
    samples.assert_close(jax.jit(samples.lifted(fn))(ready, ids), asked)
    for name in ("rows", "affine", "shared"):
        assert helpers.same_bits(ready[name].materialize(), tree[name].materialize())
    text = jax.jit(samples.lifted(fn)).lower(ready, ids).as_text()
    assert "tensor<40x8xi4>" in text
    assert isinstance(interpret.prepare(tree)["rows"], jax.Array)  # nothing is known of its uses


@pytest.mark.thorough
def test_packed_nodes_keep_rows_and_products() -> None:
    nodes = {**samples.zoo((6, 8)), **samples.active((6, 8))}
    packed = {name: core.ops.pack(node) for name, node in nodes.items()}
    ids, x = jnp.array([5, 0]), samples.floats(samples.rng(1), 3, 6)

    def fn(ws: Any) -> Any:
        return {name: (w[ids], x @ w) for name, w in ws.items()}

    got, asked = (samples.quick(samples.lifted(fn))(ws) for ws in (packed, nodes))
    for name in nodes:
        assert helpers.same_bits(got[name][0], asked[name][0]), name
        samples.assert_close(got[name][1], asked[name][1], name)
        if not any(part in name for part in ("masked", "sum", "of grids")):  # zeros under a mask went into the codes
            assert packed[name].size_bits() == nodes[name].size_bits(), name


def floats4(draw: samples.Draw, dtype: Any, table: str | None) -> tensors.Quantized:
    """Codes of 4 bits that are no integers, and a scale of 4 bits per column."""
    scale = samples.grid(draw, (1, 32), (1, 4), bits=4)
    codes = jnp.asarray(draw.integers(0, 7, (64, 32)), dtype)
    return tensors.Quantized(codes, scale.replace(codes=jnp.abs(scale.codes)), bits=4, table=table)


@pytest.mark.thorough
def test_the_fewest_bytes_stay_packed() -> None:
    """Bytes by hand, the same tensors bit for bit, and packed arguments in the lifted and the exported program."""
    draw = samples.rng()
    mask = samples.mask(draw, 64, 32)
    tree = {
        "int8": samples.grid(draw, (64, 32), (1, 32)),
        "int4": samples.grid(draw, (64, 32), (8, 32), bits=4),
        "int2": samples.grid(draw, (64, 32), (1, 32), bits=2, affine=True),
        "active": samples.grid(draw, (64, 32), (1, 32), bits=4, activation="dynamic"),
        "table": samples.codebook(draw, 64, 32),
        "masked": tensors.Masked(samples.floats(draw, 64, 32), mask),
        "masked grid": tensors.Masked(samples.grid(draw, (64, 32), bits=4), mask),
        "masked table": tensors.Masked(samples.codebook(draw, 64, 32), mask),
        "masked affine": tensors.Masked(samples.grid(draw, (64, 32), affine=True, bits=4), mask),
        "factors": tensors.LowRank(samples.grid(draw, (64, 4), bits=4), samples.grid(draw, (4, 32), bits=4)),
        "float4": floats4(draw, jnp.float4_e2m1fn, None),
        "nf4": floats4(draw, jnp.uint8, "nf4"),
        "masked float4": tensors.Masked(floats4(draw, jnp.float4_e2m1fn, None), mask),
        "masked nf4": tensors.Masked(floats4(draw, jnp.uint8, "nf4"), mask),
        "bias": jnp.ones(32),
    }
    n, held = 64 * 32, {"bias": 128}
    held |= {"int8": n + 128, "int4": n // 2 + 1024, "int2": n // 4 + 256, "active": n // 2 + 128}
    held |= {"table": n // 2 + 20, "masked table": n // 2 + 24, "masked": 4 * n, "masked grid": n // 2 + 4}
    held |= {"masked affine": n // 2 + 8 + n, "factors": 128 + 64 + 8}
    held |= dict.fromkeys(("float4", "nf4", "masked float4", "masked nf4"), n // 2 + 32)
    ready = jax.jit(lambda t: interpret.prepare(t, keep="bytes"))(tree)
    assert measure.memory_bytes(ready) == held
    asked, same = (jax.jit(core.materialize)(t) for t in (tree, ready))
    for name in tree:
        assert helpers.same_bits(same[name], asked[name]), name
    assert ready["active"].order == (1, 0)

    x = samples.floats(draw, 3, 64)
    weights = {name: w for name, w in ready.items() if name != "bias"}
    lowered = samples.quick(samples.lifted(lambda p, x: {name: x @ w for name, w in p.items()})).lower(weights, x)
    assert {"tensor<64x32xi4>", "tensor<64x32xui2>"} <= set(re.findall(r"tensor<\w+>", lowered.as_text()))
    for name, got in lowered.compile()(weights, x).items():
        room = interpret.integer_bound(x, weights[name]).max() if name == "active" else 0.0
        assert np.abs(helpers.float64(got) - helpers.float64(x) @ helpers.float64(asked[name])).max() <= room + 1e-4


def test_rows_decide_and_a_tree_without_integers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recurrent kernel of one row, one of many rows, and both kept on request."""
    monkeypatch.setattr(_prepare, "limits", lambda: _prepare.NO_INSTRUCTIONS)
    grid = samples.grid(samples.rng(), (256, 1024), (1, 1024), activation="dynamic")
    tree = {"wide": grid, "cell": tensors.LowRank(grid, jnp.eye(1024, 256))}

    def fn(p: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, _: (h @ p["cell"], None), x[:1], None, length=2)[0] + (x @ p["wide"])[:, :256]

    ready = interpret.prepare(tree, fn, jax.ShapeDtypeStruct((64, 256), jnp.float32))
    assert isinstance(ready["wide"], tensors.Quantized)
    assert isinstance(ready["cell"].left, jax.Array)
    one = jax.ShapeDtypeStruct((1, 256), jnp.float32)
    with pytest.warns(UserWarning, match=r"none of 1 large integer products is as fast .* keep='integers'"):
        assert isinstance(interpret.prepare(tree, fn, one)["wide"], jax.Array)
    assert isinstance(interpret.prepare(tree)["wide"], jax.Array)  # one row is assumed, so nothing is sure
    kept = interpret.prepare(tree, keep="integers")
    assert isinstance(kept["wide"], tensors.Quantized)
    assert isinstance(kept["cell"].left, tensors.Quantized)


def test_an_unknown_aim_is_named() -> None:
    with pytest.raises(ValueError, match="keep='size' is unknown; use 'speed', 'integers' or 'bytes'"):
        interpret.prepare({}, keep="size")
