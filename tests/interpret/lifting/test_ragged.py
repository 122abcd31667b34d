"""Mixtures of experts with ragged products: every node against the dense product, compiled and differentiated."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret
from tests import helpers
from tests.interpret import samples

SIZES = jnp.array([2, 0, 2])  # an expert without rows, and a last row without an expert


def rows(seed: int = 0) -> jax.Array:
    """Five rows of six inputs."""
    return samples.floats(samples.rng(seed), 5, 6)


def brute(x: Any, w: np.ndarray) -> np.ndarray:
    """Row by row from the definition."""
    out, expert = np.zeros((len(x), w.shape[-1])), np.repeat(np.arange(3), SIZES)
    for i, e in enumerate(expert):
        out[i] = helpers.float64(x)[i] @ w[e]
    return out


def test_every_node_multiplies_sorted_rows() -> None:
    nodes = {**samples.zoo((3, 6, 4)), **samples.active((3, 6, 4))}
    nodes["a scale for each output of each expert"] = samples.grid(
        samples.rng(), (3, 6, 4), (3, 1, 4), affine=True, activation="dynamic"
    )
    x = rows()

    def f(ws: Any, x: jax.Array) -> Any:
        return {name: jax.lax.ragged_dot(x, w, SIZES) for name, w in ws.items()}

    got = samples.quick(samples.lifted(f))(nodes, x)
    status = {row.path: row.status for row in interpret.explain(f)(nodes, x)}
    for name, out in got.items():
        asked, node = brute(x, helpers.brute(nodes[name])), nodes[name]
        error = np.abs(helpers.float64(out) - asked)
        if getattr(node, "activation", None):
            sizes = brute(samples.errors(node, x, (1,)), np.abs(helpers.brute(node)))
            assert (error <= 1.001 * sizes + 1e-5 * np.abs(asked).max()).all(), name
        else:
            samples.assert_close(out, asked, name)
    native = {name for name, found in status.items() if found == "native"}
    assert {"low rank, 1 batch axes", "dynamic", "dynamic affine", "static affine, 4 bits"} <= native
    assert "fallback" not in status.values()


@pytest.mark.parametrize("name", ["low rank, 1 batch axes", "dynamic affine", "masked"])
def test_gradients_are_those_of_the_dense_experts(name: str) -> None:
    node = {**samples.zoo((3, 6, 4)), **samples.active((3, 6, 4))}[name]
    x, weight = rows(), samples.floats(samples.rng(2), 5, 4)

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(weight * jax.lax.ragged_dot(x, w, SIZES))

    flat = core.values({"w": node})

    def through(run: Any, flat: Any, x: jax.Array) -> jax.Array:
        return run(core.with_values({"w": node}, flat)["w"], x)

    got = jax.jit(jax.grad(lambda flat, x: through(samples.lifted(f), flat, x), (0, 1)))(flat, x)
    asked = jax.grad(lambda flat, x: through(lambda w, x: f(w.materialize(), x), flat, x), (0, 1))(flat, x)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(asked), strict=True):
        samples.assert_close(a, b, name)


def test_experts_in_another_layout() -> None:
    """Transposed rows, and experts on the last axis of `[in, out, experts]`."""
    numbers = jax.lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (1,), (2,))
    node = samples.grid(samples.rng(), (6, 4, 3), (1, 4, 1), activation="dynamic")

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.ragged_dot_general(x.T, w, SIZES, numbers)

    assert samples.statuses(f, node, rows()) == {("ragged_dot_general", "native")}
    got = interpret.lift(f)(node, rows())
    asked = interpret.lift(lambda w, x: jax.lax.ragged_dot(x, w, SIZES))(node.transpose((2, 0, 1)), rows())
    np.testing.assert_array_equal(got, asked)


def test_grouped_sums_are_dense_with_a_reason() -> None:
    summed = jax.lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
    node = samples.grid(samples.rng(), (5, 4), activation="dynamic")

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.ragged_dot_general(x, w, SIZES, summed)

    (row,) = interpret.explain(f)(node, rows())
    assert (row.status, row.reason.startswith("the ragged product is not one of sorted rows")) == ("dense", True)
    samples.assert_close(samples.lifted(f)(node, rows()), f(node.materialize(), rows()))
