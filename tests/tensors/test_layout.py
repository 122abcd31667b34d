"""Changes of layout leave nodes compressed, and mean the same tensor as NumPy's."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core import Dense
from compressjax.core.ops import convert, reshape, transpose
from tests import helpers
from tests.interpret import samples

SHAPES = [(6, 4), (2, 4, 2), (2, 1, 2, 2), (5,)]
RESHAPES: dict[tuple[int, ...], list[tuple[int, ...]]] = {
    (6, 4): [(6, 2, 2), (2, 3, 4), (24,), (6, 4, 1), (1, 6, 4), (6, 1, 4), (3, 8), (4, 6), (2, 3, 2, 2), (6, 4)],
    (2, 4, 6): [(8, 6), (2, 24), (2, 2, 2, 6), (2, 4, 2, 3), (48,), (1, 2, 4, 1, 6), (4, 2, 6), (2, 4, 6)],
    (1, 6, 4): [(6, 4), (1, 24), (6, 1, 4), (24,), (1, 1, 6, 4)],
    (5,): [(5, 1), (1, 5), (5,)],
}
STORED = (tensors.Masked, tensors.Quantized, tensors.Codebook)


def moves(move: Any, nodes: dict[str, Any], places: list[Any]) -> dict[Any, tuple[Any, Any]]:
    """Every node after every layout change, with its dense tensor, in one compiled program."""
    moved = samples.compiled(lambda ns: {(k, at): move(n, at) for k, n in ns.items() for at in places}, nodes)
    held = {key: node for key, node in moved.items() if isinstance(node, core.Node)}
    dense = samples.quick(lambda ns: {key: node.materialize() for key, node in ns.items()})(held)
    return {key: (node, dense.get(key)) for key, node in moved.items()}


def assert_moved(moved: Any, dense: Any, asked: np.ndarray, node: Any, what: str) -> None:
    """A compressed form of the right values, or a reason."""
    if isinstance(moved, Dense):
        assert moved.reason, what
        return
    assert isinstance(moved, core.Node), what
    assert moved.shape == asked.shape, what
    assert moved.dtype == node.dtype, what
    samples.assert_close(helpers.brute(moved), asked, what, 1e-6)
    np.testing.assert_allclose(dense, asked, atol=1e-5, err_msg=what)


@pytest.mark.turns(2)
@pytest.mark.parametrize("shape", SHAPES)
def test_transposes_of_every_node(shape: tuple[int, ...]) -> None:
    nodes = {**samples.zoo(shape), **samples.active(shape)}
    perms = list(itertools.permutations(range(len(shape))))[:: 1 if len(shape) < 4 else 5]

    def move(node: Any, perm: tuple[int, ...]) -> Any:
        moved = transpose(node, perm)
        if isinstance(moved, tensors.Quantized):
            assert moved.codes is node.codes  # not copied: only the stored order changes
        return moved

    for (name, perm), (moved, dense) in moves(move, nodes, perms).items():
        node = nodes[name]
        assert_moved(moved, dense, np.transpose(helpers.brute(node), perm), node, f"{name} {perm}")
        whole = isinstance(node, tensors.Masked | tensors.Quantized) or (
            isinstance(node, tensors.Codebook) and not node.batch
        )
        assert not (whole and isinstance(moved, Dense)), name
        if isinstance(moved, tensors.Quantized):
            assert moved.order[:1] != (0,)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("shape", "new"), [(old, new) for old, every in RESHAPES.items() for new in every])
def test_reshapes_of_every_node(shape: tuple[int, ...], new: tuple[int, ...]) -> None:
    nodes = {**samples.zoo(shape), **samples.active(shape)}
    for (name, _), (moved, dense) in moves(reshape, nodes, [new]).items():
        node = nodes[name]
        assert_moved(moved, dense, helpers.brute(node).reshape(new), node, f"{name} {new}")
        ones_only = [d for d in shape if d != 1] == [d for d in new if d != 1]
        if ones_only and isinstance(node, STORED):
            assert not isinstance(moved, Dense), name


def test_empty_tensors_are_refused() -> None:
    node = tensors.LowRank(jnp.ones((0, 2)), jnp.ones((2, 4)))
    assert isinstance(reshape(node, (0, 2, 2)), Dense)
    assert samples.lifted(lambda w: w.reshape(0, 2, 2))(node).shape == (0, 2, 2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_conversions_of_every_node(dtype: str) -> None:
    nodes = {**samples.zoo((2, 4, 6)), **samples.active((2, 4, 6))}
    tensor = jax.jit(lambda ns: {name: node.materialize() for name, node in ns.items()})(nodes)
    for (name, _), (moved, got) in moves(convert, nodes, [jnp.dtype(dtype)]).items():
        assert moved.dtype == jnp.dtype(dtype), name
        dense, eps = np.asarray(tensor[name]).astype(dtype), helpers.epsilon(dtype)
        room = 8 * eps * np.abs(helpers.float64(dense)).max()
        np.testing.assert_allclose(helpers.float64(got), helpers.float64(dense), atol=room, err_msg=name)
        entrywise = isinstance(nodes[name], STORED)
        assert not entrywise or helpers.same_bits(got, dense), name


@pytest.mark.parametrize("shape", [(1, 6, 4), (6, 4)])
def test_nodes_of_one_class_are_joined_or_refuse(shape: tuple[int, ...]) -> None:
    """A first axis of length 1 is that of layers that are stacked: every node that a scan can slice joins them."""
    pairs = {name: (node, {**samples.zoo(shape, 1), **samples.active(shape, 1)}[name])
             for name, node in {**samples.zoo(shape), **samples.active(shape)}.items()}  # fmt: skip

    def join(pair: Any, axis: int) -> Any:
        return core.ops.concatenate(pair, axis)

    for (name, axis), (joined, dense) in moves(join, pairs, list(range(len(shape)))).items():
        pair = pairs[name]
        assert_moved(joined, dense, np.concatenate([helpers.brute(n) for n in pair], axis), pair[0], f"{name} {axis}")
        if axis == 0 and shape[0] == 1 and not name.startswith("sum") and pair[0].stacked() is not None:
            assert isinstance(joined, core.Node), name
            assert joined.stacked() is not None, name


def test_grids_that_cannot_be_joined_say_why() -> None:
    draw = samples.rng()
    four, eight = (samples.grid(draw, (6, 4), bits=bits) for bits in (4, 8))
    coarse, fine = (samples.grid(draw, (6, 4), (n, 4)) for n in (2, 3))
    static = [samples.grid(draw, (6, 4), activation="static") for _ in range(2)]
    for pair, axis, why in [((four, eight), 0, "several kinds"), ((coarse, fine), 1, "several sizes"),
                            ((coarse, fine), 0, "nearly every entry"), (static, 1, "whole layers")]:  # fmt: skip
        assert why in core.ops.concatenate(pair, axis).reason
    wide = core.ops.concatenate((samples.grid(draw, (16, 4), (4, 4)), samples.grid(draw, (8, 4), (2, 4))), 0)
    assert wide.scale.shape == (6, 4)
    assert "different kinds" in core.ops.concatenate((four, jnp.ones((6, 4))), 0).reason


def test_conversion_to_integers_is_no_node() -> None:
    assert isinstance(convert(samples.codebook(samples.rng(), 4), jnp.int32), Dense)
    assert convert(jnp.ones(2), jnp.bfloat16).dtype == jnp.bfloat16


def test_layouts_inside_a_program_stay_native() -> None:
    """Moves of axes before the product cost nothing: it still runs on the codes as they are stored."""
    node = samples.grid(samples.rng(), (8, 6), (8, 1), activation="dynamic")
    x = samples.floats(samples.rng(1), 3, 6)

    def f(w: Any, x: jax.Array) -> jax.Array:
        w = w.T[None].squeeze(0).reshape(6, 2, 4)
        w = jnp.expand_dims(jnp.swapaxes(w, 0, 2), 1)  # [4, 1, 2, 6]
        return jnp.einsum("ni,dohi->nhdo", x, w)

    assert samples.statuses(f, node, x) == {("dot_general", "native")}
    asked = (np.asarray(x) @ helpers.brute(node).T).reshape(3, 2, 4, 1)
    assert (
        np.abs(interpret.lift(f)(node, x) - asked).max()
        <= np.abs(x).max() / 254 * np.abs(helpers.brute(node)).sum(1).max()
    )
    text = jax.jit(interpret.lift(f)).lower(node, x).as_text()
    assert "transpose" not in text.split("dot_general")[0].rsplit("xi8", 1)[0] or "8x6xi8" in text


def test_broadcasts() -> None:
    node = samples.low_rank(samples.rng(), (6, 4))
    kept = jax.jit(interpret.lift(lambda w: w[None, :, None, :].reshape(6, 4) @ jnp.ones((4, 1)), on_fallback="raise"))
    samples.assert_close(kept(node), helpers.brute(node).sum(1, keepdims=True))
    grown = samples.lifted(lambda w: jnp.broadcast_to(w, (3, 6, 4)))
    samples.assert_close(grown(node), np.broadcast_to(helpers.brute(node), (3, 6, 4)))
    assert samples.statuses(lambda w: jnp.broadcast_to(w, (3, 6, 4)), node) == {("broadcast_in_dim", "fallback")}
