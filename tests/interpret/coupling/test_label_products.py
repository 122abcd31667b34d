"""Products, sums, windows and indexing: masked equals narrowed, or frozen."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import interpret
from tests.interpret import cutting
from tests.interpret.cutting import normal


@pytest.mark.turns(2)
@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("NHWC", "OHWI", "NCHW")])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_in_every_layout_and_grouping(layout, groups):
    def conv(x, kernel, groups, layout):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout,
                                            feature_group_count=groups)  # fmt: skip

    def fn(p, x):
        x = conv(x, p["a"], 1, (layout[0], "HWIO", layout[0]))
        x = conv(x, p["k"], groups, layout)
        return jnp.moveaxis(x, 1, -1) @ p["b"] if layout[2] == "NCHW" else x @ p["b"]

    kernel = {"H": 3, "W": 3, "I": 8 // groups, "O": 8}
    shape = {"N": 1, "H": 4, "W": 4, "C": 2}
    p = {
        "a": normal(3, 3, 2, 8),
        "k": normal(*(kernel[c] for c in layout[1])),
        "b": normal(8, 1),
    }
    names = cutting.agrees(fn, p, normal(*(shape[c] for c in layout[0])), tolerance=3e-5)
    assert len(names) == (2 if groups == 1 else 3)


@pytest.mark.parametrize(
    ("fn", "count"),
    [
        (lambda p, x: (x @ p["a"]) @ p["b"], 1),
        (lambda p, x: jnp.einsum("ni,ih,ho->no", x, p["a"], p["b"]), 1),
        (lambda p, x: (x @ p["a"]) @ (x @ p["a"]).T, 1),
        (lambda p, x: jnp.sum(x @ p["a"], -1), 1),
        (lambda p, x: jnp.max((x @ p["a"]).reshape(2, 2, 4), 0) @ p["b"], 1),
        (lambda p, x: jnp.cumsum(x @ p["a"], 0) @ p["b"], 1),
        (lambda p, x: jnp.sort(x @ p["a"], 0) @ p["b"], 1),
        (lambda p, x: jax.lax.top_k((x @ p["a"]).T, 2)[0].T @ p["b"], 1),
        (lambda p, x: jnp.argmax(x @ p["a"], -1), 0),
        (lambda p, x: jnp.prod(x @ p["a"], -1), 0),
        (lambda p, x: jnp.cumsum(x @ p["a"], 1) @ p["b"], 0),
        (lambda p, x: jax.lax.top_k(x @ p["a"], 4)[0] @ p["b"], 0),
    ],
)
def test_small_functions(fn, count):
    assert len(cutting.free_units(fn)) == count


def test_batched_products_of_experts():
    def fn(p, x):
        h = jax.nn.relu(jnp.einsum("nd,edh->neh", x, p["up"]))
        return jnp.einsum("neh,ehd,ne->nd", h, p["down"], x @ p["gate"])

    p = {"up": normal(3, 4, 5), "down": normal(3, 5, 4), "gate": normal(4, 3)}
    assert cutting.agrees(fn, p, normal(2, 4)) == ["gate:1", "up:2"]  # experts, and their hidden units


def experts(p, x):
    """Rows sorted by expert, a gated MLP for each, and the rows back in their order."""
    chosen = jnp.argmax(x @ p["router"], -1)
    order, sizes = jnp.argsort(chosen), jnp.bincount(chosen, length=3)
    rows = x[order]
    h = jax.nn.silu(jax.lax.ragged_dot(rows, p["gate"], sizes)) * jax.lax.ragged_dot(rows, p["up"], sizes)
    return jnp.zeros_like(x).at[order].add(jax.lax.ragged_dot(h, p["down"], sizes))


def test_experts_that_data_chooses_shrink_their_hidden_units():
    p = {
        "router": normal(4, 3),
        "gate": normal(3, 4, 6),
        "up": normal(3, 4, 6) / 2,
        "down": normal(3, 6, 4),
    }
    assert cutting.agrees(experts, p, normal(5, 4)) == ["gate:2"]
    frozen = {g.name: g.frozen for g in interpret.couplings(experts)(p, normal(5, 4))}
    assert frozen["up:0"] == frozen["down:0"] == "experts are chosen by data"


def test_ragged_products_in_every_layout():
    """A ragged axis that is not the first, and experts on the last axis; grouped sums have no rule."""
    numbers = jax.lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (1,), (2,))
    summed = jax.lax.RaggedDotDimensionNumbers((((1,), (0,)), ((), ())), (1,), ())
    sizes = jnp.array([2, 0, 3])

    def fn(p, x):
        return jax.lax.ragged_dot_general((x @ p["a"]).T, p["e"], sizes, numbers) @ p["out"]

    p = {"a": normal(4, 6), "e": normal(6, 4, 3), "out": normal(4, 2)}
    assert cutting.agrees(fn, p, normal(5, 4)) == ["a:1", "e:1"]
    groups = interpret.couplings(lambda p, x: jax.lax.ragged_dot_general(x, p["a"], sizes, summed))(p, normal(2, 4))
    assert all(g.frozen for g in groups)


def test_pooling_keeps_channels_and_freezes_space():
    p = {"a": normal(8, 4), "b": normal(4, 1)}

    def fn(p, x):
        h = jnp.moveaxis(x @ p["a"], -1, 1)
        pooled = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2), (1, 1, 2), "VALID")
        return jnp.moveaxis(pooled, 1, -1) @ p["b"]

    assert cutting.agrees(fn, p, normal(2, 6, 8)) == ["a:1"]
