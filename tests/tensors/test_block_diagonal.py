"""BlockDiagonal: moves, rows and products against the matrix built by loops, and what it costs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core import Dense, Window, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples


def drawn(*lead: int, blocks: int = 3, fan_in: int = 6, fan_out: int = 12) -> tensors.BlockDiagonal:
    draw = samples.rng()

    def places(n: int) -> np.ndarray:
        found = [draw.permutation(n) for _ in range(int(np.prod(lead)))]
        return np.reshape(found, (*lead, blocks, n // blocks)).astype(np.uint8)

    values = samples.floats(draw, *lead, blocks, fan_in // blocks, fan_out // blocks)
    return tensors.BlockDiagonal(values, places(fan_in), places(fan_out))


def test_products_run_by_blocks_on_either_side() -> None:
    node, w = drawn(), helpers.brute(drawn())
    x, y = samples.floats(samples.rng(1), 2, 5, 6), samples.floats(samples.rng(2), 12)
    both = lambda w, x, y: (x @ w, w @ y)  # noqa: E731
    for f in (interpret.lift(both, on_fallback="raise"), jax.jit(interpret.lift(both, on_fallback="raise"))):
        forward, back = f(node, x, y)
        samples.assert_close(forward, helpers.float64(x) @ w)
        samples.assert_close(back, w @ helpers.float64(y))
    assert samples.statuses(both, node, x, y) == {("dot_general", "native")}
    text = jax.jit(interpret.lift(both)).lower(node, x, y).as_text()
    assert "6x12xf32" not in text
    # The order of the outputs of a constant is known when the program is traced.
    assert "stablehlo.sort" not in jax.jit(lambda x: interpret.lift(jnp.matmul)(x, node)).lower(x).as_text()


def test_gradients_are_those_of_the_matrix() -> None:
    node, x = drawn(), samples.floats(samples.rng(1), 5, 6)
    grads = jax.grad(lambda v: jnp.sin(interpret.lift(jnp.matmul)(x, node.replace(blocks=v))).sum())(node.blocks)
    dense = jax.grad(lambda w: jnp.sin(x @ w).sum())(node.materialize())
    inside = np.asarray(dense)[node.inputs[:, :, None], node.outputs[:, None, :]]
    samples.assert_close(grads, inside)


def test_grids_in_the_blocks_multiply_in_integers() -> None:
    grid = samples.grid(samples.rng(), (3, 2, 4), (3, 1, 4), activation="dynamic")
    node, x = drawn().replace(blocks=grid), samples.floats(samples.rng(1), 5, 6)
    error = np.abs(interpret.lift(jnp.matmul)(x, node) - helpers.float64(x) @ helpers.brute(node))
    assert (error <= np.asarray(interpret.integer_bound(x, node))).all()
    assert "xi32>" in jax.jit(interpret.lift(jnp.matmul)).lower(x, node).as_text()
    assert isinstance(interpret.prepare(node).blocks, jax.Array)  # too small to pay


def test_layers_of_a_scan_stay_in_blocks() -> None:
    stack, x = drawn(4, fan_out=6), samples.floats(samples.rng(1), 5, 6)
    loop = lambda w, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]  # noqa: E731
    asked = helpers.float64(x)
    for layer in helpers.brute(stack):
        asked = np.tanh(asked @ layer)
    samples.assert_close(interpret.lift(loop, on_fallback="raise")(stack, x), asked)
    by_index = lambda w, x: jnp.tanh(x @ w[2])  # noqa: E731
    assert samples.statuses(by_index, stack, x) == {("dot_general", "native")}
    experts = lambda w, x: jnp.einsum("bio,ni->bno", w, x)  # noqa: E731
    assert samples.statuses(experts, stack, x) == {("dot_general", "dense")}


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("move", "asked"),
    [
        (lambda n: ops.transpose(n, (1, 0, 3, 2)), lambda w: w.transpose(1, 0, 3, 2)),
        (lambda n: ops.transpose(n, (1, 0, 2, 3)), lambda w: w.transpose(1, 0, 2, 3)),
        (lambda n: ops.reshape(n, (6, 1, 6, 12)), lambda w: w.reshape(6, 1, 6, 12)),
        (lambda n: ops.cut(n, (None, Window(1, 2), None, None)), lambda w: w[:, 1:]),
        (lambda n: ops.convert(n, jnp.float32), lambda w: w),
    ],
)
def test_moves_keep_the_blocks(move: Any, asked: Any) -> None:
    moved = move(drawn(2, 3))
    assert isinstance(moved, tensors.BlockDiagonal)
    np.testing.assert_array_equal(helpers.brute(moved), asked(helpers.brute(drawn(2, 3))))
    np.testing.assert_array_equal(moved.materialize(), helpers.brute(moved))


def test_moves_that_take_blocks_apart_say_why() -> None:
    node = drawn(2)
    for out in (
        ops.transpose(node, (1, 0, 2)), ops.reshape(node, (2, 72)), ops.cut(node, (None, Window(0, 2), None)),
        ops.specs(node, Spec(None, "d"), {"d": 2}),
    ):  # fmt: skip
        assert isinstance(out, Dense)
        assert out.reason


@pytest.mark.thorough
def test_rows() -> None:
    indices = jnp.array([5, 0, 5, 9])
    np.testing.assert_array_equal(ops.rows(drawn(), indices), helpers.brute(drawn())[[5, 0, 5, 5]])
    np.testing.assert_array_equal(ops.rows(drawn(6), indices), helpers.brute(drawn(6))[[5, 0, 5, 5]])
    assert samples.statuses(lambda w: jnp.take(w, indices, axis=1), drawn()) == {("gather", "native")}


def test_costs_and_parts() -> None:
    node = drawn(2)
    assert core.entry_bits(drawn()) == 6 * 12 // 3 * 32 + 6 * 3 + 12 * 4
    assert ops.multiply_adds(drawn()) == 6 * 12 // 3
    specs = ops.specs(node, Spec("d"), {"d": 2})
    assert (specs.blocks, specs.inputs) == (Spec("d", None, None, None), Spec("d", None, None))
