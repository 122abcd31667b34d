"""Weights that a function concatenates or stacks stay compressed; results are those of the dense weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core import Dense, Product, Ragged, Window, ops
from compressjax.interpret.lifting._joined import Joined
from tests import helpers
from tests.interpret import samples


def pairs() -> dict[str, tuple[Any, Any]]:
    """Two weights `[6, 4]` and `[6, 8]` of one kind, of two kinds, and with an array."""
    draw = samples.rng()
    low = samples.low_rank(draw, (6, 4)), samples.low_rank(draw, (6, 8), rank=3)
    grid = [samples.grid(draw, (6, n), activation="dynamic") for n in (4, 8)]
    return {
        "low rank": low,
        "grids": (grid[0], grid[1]),
        "low rank and a grid": (low[0], grid[1]),
        "an array and a grid": (samples.floats(draw, 6, 4), grid[1]),
    }


def close(got: Any, asked: Any, what: str) -> None:
    """Rounded activations are off by at most their step times the sum of the weights."""
    got, asked = helpers.float64(got), helpers.float64(asked)
    assert got.shape == asked.shape, what
    np.testing.assert_allclose(got, asked, rtol=0, atol=0.02 * np.abs(asked).max(), err_msg=what)


def along(p: Any, x: jax.Array) -> dict[str, jax.Array]:
    """Products with the joined outputs, with the joined inputs, in heads, in slices, and of rows."""
    fused = jnp.concatenate([p["a"], p["b"]], 1)
    tall = jnp.concatenate([p["a"].T, p["b"].T], 0)
    y = jnp.concatenate([x, -x], 1)
    return {
        "outputs": x @ fused,
        "inputs": y @ tall,
        "heads": jnp.einsum("ni,ihd->nhd", x, fused.reshape(6, 3, 4)),
        "one row": x[0] @ fused,
        "a slice": x @ fused[:, 2:10],
        "a part": x @ fused[:, 4:],
        "rows": fused[jnp.array([5, 0])],
        "rows of the joined axis": tall[jnp.array([3, 4, 11])],
        "from the left": fused.T @ x.T,
    }


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", list(pairs()))
def test_products_of_joined_weights(kind: str) -> None:
    a, b = pairs()[kind]
    x = samples.floats(samples.rng(1), 5, 6)
    tree = {"a": a, "b": b}
    dense = {name: core.dense(w) for name, w in tree.items()}
    got = samples.quick(samples.lifted(along))(tree, x)
    for name, asked in along(dense, x).items():
        close(got[name], asked, f"{kind}, {name}")
    rows = interpret.explain(along)(tree, x)
    nodes = {path for path, w in tree.items() if isinstance(w, core.Node)}
    assert {(row.primitive, row.status) for row in rows} == {("dot_general", "native"), ("gather", "native")}
    assert {row.path for row in rows} == nodes


def test_gradients_of_joined_factors() -> None:
    a, b = pairs()["low rank"]
    x = samples.floats(samples.rng(1), 5, 6)

    def f(p: Any) -> jax.Array:
        return jnp.sum(jnp.sin(x @ jnp.concatenate([p["a"], p["b"]], 1)))

    got = jax.jit(jax.grad(samples.lifted(f)))({"a": a, "b": b})
    asked = jax.grad(lambda p: f(core.materialize(p)))({"a": a, "b": b})
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(asked), strict=True):
        samples.assert_close(one, other)


LAYERS = {
    "low rank": lambda draw: samples.low_rank(draw, (4, 4)),
    "dynamic": lambda draw: samples.grid(draw, (4, 4), (1, 4), activation="dynamic"),
    "static": lambda draw: samples.grid(draw, (4, 4), (2, 4), order=(1, 0), activation="static"),
    "masked": lambda draw: tensors.Masked(samples.grid(draw, (4, 4), activation="dynamic"), samples.mask(draw, 4, 4)),
    "codebook": lambda draw: samples.codebook(draw, 4, 4),
    "sum": lambda draw: tensors.Sum((samples.low_rank(draw, (4, 4)), samples.floats(draw, 4, 4))),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_that_are_stacked_for_a_scan_stay_compressed(kind: str) -> None:
    draw = samples.rng()
    layers = [LAYERS[kind](draw) for _ in range(3)]
    x = samples.floats(samples.rng(1), 2, 4)

    def f(ws: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, jnp.stack(ws))[0]

    assert "fallback" not in {row.status for row in interpret.explain(f)(layers, x)}
    close(samples.quick(samples.lifted(f))(layers, x), f([w.materialize() for w in layers], x), kind)


def test_experts_that_are_stacked_in_the_function() -> None:
    draw = samples.rng()
    experts = [samples.low_rank(draw, (6, 4)) for _ in range(3)]
    x, sizes = samples.floats(samples.rng(1), 5, 6), jnp.array([1, 2, 2])

    def f(ws: Any, x: jax.Array) -> jax.Array:
        return jax.lax.ragged_dot(x, jnp.stack(ws), sizes)

    assert samples.statuses(f, experts, x) == {("ragged_dot_general", "native")}
    samples.assert_close(samples.lifted(f)(experts, x), f([w.materialize() for w in experts], x))


@pytest.mark.parametrize("axis", ["outputs", "inputs"])
def test_kernels_of_convolutions(axis: str) -> None:
    """Kernels side by side over output channels, or added over input channels."""
    draw = samples.rng()
    wide, at = ((3, 3, 4, 6), 3) if axis == "outputs" else ((3, 3, 2, 10), 2)
    parts = [samples.low_rank(draw, (3, 3, 4, 10)[:at] + (n,) + (3, 3, 4, 10)[at + 1 :], 3) for n in (wide[at], 4)]
    channels = sum(p.shape[2] for p in parts) if at == 2 else 4
    x = samples.floats(samples.rng(1), 1, 5, 5, channels)

    def f(ws: Any, x: jax.Array) -> jax.Array:
        kernel = jnp.concatenate(ws, at)
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert samples.statuses(f, parts, x) == {("conv_general_dilated", "native")}
    samples.assert_close(samples.quick(samples.lifted(f))(parts, x), f([p.materialize() for p in parts], x))


def test_a_warning_names_every_weight_that_was_made_dense() -> None:
    a, b = pairs()["low rank"]
    with pytest.warns(interpret.FallbackWarning) as found:
        interpret.lift(lambda p: jnp.sin(jnp.concatenate([p["a"], p["b"]], 1)))({"a": a, "b": b})
    assert [str(w.message).split(" (")[0] for w in found] == ["lift: a", "lift: b"]


def test_layout_changes_of_joined_weights() -> None:
    joined = Joined(pairs()["low rank"], -1)
    asked = helpers.brute(joined.parts[0]), helpers.brute(joined.parts[1])
    dense = np.concatenate(asked, 1)
    samples.assert_close(core.dense(joined.transpose((1, 0))), dense.T)
    samples.assert_close(core.dense(joined.reshape((1, 6, 3, 4))), dense.reshape(1, 6, 3, 4))
    samples.assert_close(core.dense(joined.cut((None, Window(1, 4, 2)))), dense[:, 1:9:2])
    assert joined.convert(jnp.bfloat16).dtype == jnp.bfloat16
    assert joined.size_bits() == sum(p.size_bits() for p in joined.parts)
    for refused in (joined.reshape((6, 2, 6)), joined.reshape((72,)), joined.cut((None, Window(jnp.int32(0), 2)))):
        assert isinstance(refused, Dense)
    tall = Joined(tuple(ops.transpose(p, (1, 0)) for p in joined.parts), -2)
    samples.assert_close(core.dense(tall.reshape((6, 2, 6))), dense.T.reshape(6, 2, 6))
    assert isinstance(tall.ragged_dot(jnp.ones((2, 6)), Ragged(jnp.array([2]))), Dense)


def test_a_batch_axis_that_is_joined() -> None:
    draw = samples.rng()
    parts = [samples.low_rank(draw, (n, 4, 5), batch=1) for n in (1, 2)]
    x = samples.floats(samples.rng(1), 2, 3, 4)
    product = Product((2,), (1,), (1,), (0,))
    got = Joined(tuple(parts), -3).dot(x, product)
    samples.assert_close(got, product.dense(x, jnp.concatenate([p.materialize() for p in parts])))
