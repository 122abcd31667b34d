"""`prepare`: the same function on nodes that run fast, and what becomes of every node."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from tests import helpers
from tests.interpret import samples


def layer(w: Any, x: jax.Array) -> jax.Array:
    """A dense layer."""
    return x @ w


@pytest.mark.parametrize("shape", [(6, 8), (300, 320)])
def test_the_function_stays_the_same(shape: tuple[int, int]) -> None:
    x = samples.floats(samples.rng(1), 3, shape[0])
    nodes = {**samples.zoo((6, 8)), **samples.active((6, 8))} if shape[0] == 6 else samples.active(shape)
    ready = jax.jit(interpret.prepare)(nodes)
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


def test_what_becomes_of_each_kind() -> None:
    draw = samples.rng()
    big = (256, 256)
    kept = {
        "grid": samples.grid(draw, big, (1, 256), activation="dynamic"),
        "stored": samples.grid(draw, big, (1, 256), order=(1, 0), activation="static"),
        "table": samples.codebook(draw, *big, table=samples.grid(draw, (6,), activation="dynamic")),
        "long groups": samples.grid(draw, big, (4, 256), activation="dynamic"),
        "heads": samples.grid(draw, (256, 4, 64), (1, 4, 64), activation="dynamic"),
        "convolution": samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), activation="dynamic"),
        "factors": samples.low_rank(draw, big),
    }
    dense = {
        "masked": tensors.Masked(samples.floats(draw, 4, 4), samples.mask(draw, 4, 4)),
        "float table": samples.codebook(draw, 4, 4),
        "weight-only": samples.grid(draw, big),
        "small": samples.grid(draw, (128, 256), (1, 256), activation="dynamic"),
        "short groups": samples.grid(draw, big, (16, 256), activation="dynamic"),
        "short sums": samples.grid(draw, (3, 3, 1, 4), (1, 1, 1, 4), activation="dynamic"),
        "affine convolution": samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), affine=True, activation="dynamic"),
        "volume": samples.grid(draw, (3, 3, 3, 16, 16), (1, 1, 1, 1, 16), activation="dynamic"),
    }
    ready = jax.jit(interpret.prepare)({**kept, **dense})
    tensor, same = (jax.jit(core.materialize)(tree) for tree in ({**kept, **dense}, ready))
    for name in kept:
        node = ready[name]
        assert isinstance(node, tensors.LowRank if name == "factors" else tensors.Quantized), name
        if isinstance(node, tensors.Quantized) and node.ndim == 2:
            assert node.order == (1, 0), name
            assert node.codes.shape == (256, 256)
        samples.assert_close(same[name], tensor[name], name, 1e-6)
    for name in dense:
        assert isinstance(ready[name], jax.Array), name
        assert helpers.same_bits(ready[name], tensor[name]), name


def test_prepared_grids_run_natively() -> None:
    draw = samples.rng()
    node = interpret.prepare(samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), activation="dynamic"))
    f = lambda w, x: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert samples.statuses(f, node, jnp.ones((1, 4, 4, 32))) == {("conv_general_dilated", "native")}
    groups = interpret.prepare(samples.grid(draw, (256, 256), (4, 256), activation="dynamic"))
    assert samples.statuses(layer, groups, jnp.ones((2, 256))) == {("dot_general", "native")}


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


def test_it_can_be_compiled() -> None:
    node = samples.grid(samples.rng(), (256, 256), (1, 256), activation="dynamic")
    ready = jax.jit(interpret.prepare)({"w": node, "m": samples.codebook(samples.rng(), 4, 4)})
    assert ready["w"].order == (1, 0)
    samples.assert_close(ready["w"].materialize(), node.materialize(), tolerance=1e-6)
