"""Slices of nodes, static and dynamic, against NumPy slicing."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret
from compressjax.core import Dense, Window
from compressjax.core.ops import cut
from compressjax.interpret.lifting._rules import pieces
from tests import helpers
from tests.interpret import samples

WINDOWS: dict[tuple[int, ...], list[list[Window | None]]] = {
    (6, 8): [
        [Window(1, 3), None], [None, Window(2, 4)], [Window(0, 3, 2), Window(1, 2, 3)], [Window(2, 2), Window(0, 1)],
        [Window(0, 0), None], [None, None],
    ],
    (2, 4, 6): [[Window(1, 1), None, None], [None, Window(1, 2), None], [Window(0, 1), Window(0, 2), Window(0, 3, 2)]],
    (2, 3, 4, 2): [[None, Window(2, 1), Window(1, 2), None]],
}  # fmt: skip


def sliced(x: np.ndarray, window: list[Window | None]) -> np.ndarray:
    """The same with NumPy's slices."""
    return x[tuple(slice(None) if w is None else slice(w.start, w.start + w.size * w.step, w.step) for w in window)]


@pytest.mark.turns(2)
@pytest.mark.parametrize(("shape", "window"), [(s, w) for s, every in WINDOWS.items() for w in every])
def test_static_windows_of_every_node(shape: tuple[int, ...], window: list[Window | None]) -> None:
    nodes = {**samples.zoo(shape), **samples.active(shape)}
    got = samples.compiled(lambda ns: {name: cut(node, window) for name, node in ns.items()}, nodes)
    for name, node in nodes.items():
        kept = got[name]
        if isinstance(kept, Dense):
            assert "groups" in name, name
            continue
        asked = sliced(helpers.brute(node), window)
        assert isinstance(kept, core.Node)
        assert kept.shape == asked.shape, name
        assert kept.dtype == node.dtype
        if asked.size:
            samples.assert_close(helpers.brute(kept), asked, name, 1e-6)


@pytest.mark.turns(2)
@pytest.mark.parametrize("index", [-7, -6, -1, 0, 2, 5, 9])
def test_dynamic_windows_of_every_node_clamp_as_arrays_do(index: int) -> None:
    nodes = {k: v for k, v in {**samples.zoo((6, 4, 2)), **samples.active((6, 4, 2))}.items() if "groups" not in k}

    def f(ws: Any, i: jax.Array) -> Any:
        return {k: jax.lax.dynamic_slice_in_dim(w, i, 3, axis=0) for k, w in ws.items()}

    got = samples.quick(samples.lifted(f))(nodes, index)
    start = min(max(index + 6 if index < 0 else index, 0), 3)
    for name, node in nodes.items():
        samples.assert_close(got[name], helpers.brute(node)[start : start + 3], name)


def test_one_layer_of_a_stack_by_a_traced_index_stays_compressed() -> None:
    """`w[i]` in a loop: the codes of the layer are sliced, and its product runs natively."""
    draw = samples.rng()
    x = samples.floats(draw, 3, 4)
    nodes = {
        "low rank": samples.low_rank(draw, (5, 4, 4), batch=1),
        "grid": samples.grid(draw, (5, 4, 4), (5, 1, 4), order=(1, 0), activation="dynamic"),
        "static": dataclasses.replace(
            samples.grid(draw, (5, 4, 4), (5, 1, 4), activation="static"), activation_scale=jnp.full(5, 0.05)
        ),
    }

    def by_index(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 5, lambda i, h: jnp.tanh(h @ w[i]), x)

    def by_position(w: Any, x: jax.Array) -> jax.Array:
        step = lambda h, i: (jnp.tanh(h @ jax.lax.dynamic_index_in_dim(w, i, 0, keepdims=False)), None)  # noqa: E731
        return jax.lax.scan(step, x, jnp.arange(5))[0]

    def unrolled(w: Any, x: jax.Array) -> jax.Array:
        for i in range(5):
            x = jnp.tanh(x @ w[i])
        return x

    for name, node in nodes.items():
        asked = helpers.float64(x)
        for layer in helpers.brute(node):
            asked = np.tanh(asked @ layer)
        for f in (by_index, by_position, unrolled):
            np.testing.assert_allclose(
                jax.jit(interpret.lift(f, on_fallback="raise"))(node, x),
                asked,
                atol=1e-4 if name == "low rank" else 0.1,
            )
            assert samples.statuses(f, node, x) == {("dot_general", "native")}, (name, f.__name__)
            assert "5x4x4xf32" not in jax.jit(interpret.lift(f)).lower(node, x).as_text(), (name, f.__name__)


@pytest.mark.thorough
def test_splits_and_unstacking() -> None:
    nodes, sizes = samples.zoo((4, 6, 2)), ((1, 3), (2, 2, 2), (1, 1))
    got = samples.compiled(
        lambda ns: {(name, a): pieces(node, a, s) for name, node in ns.items() for a, s in enumerate(sizes)}, nodes
    )
    for (name, axis), parts in got.items():
        if isinstance(parts, Dense):
            assert "groups" in name
            continue
        for part, asked in zip(
            parts, np.split(helpers.brute(nodes[name]), np.cumsum(sizes[axis])[:-1], axis), strict=True
        ):
            samples.assert_close(helpers.brute(part), asked, name, 1e-6)
    node = samples.low_rank(samples.rng(), (3, 4, 2), batch=1)
    x = jnp.ones((2, 4))

    def every_layer(w: Any) -> jax.Array:
        return sum(x @ layer for layer in jnp.unstack(w))

    def halves(w: Any) -> jax.Array:
        return sum(x @ part for part in jnp.split(w.reshape(12, 2), 3))

    samples.assert_close(
        interpret.lift(every_layer, on_fallback="raise")(node), (np.ones((2, 4)) @ helpers.brute(node)).sum(0)
    )
    flat = samples.low_rank(samples.rng(), (12, 2))
    asked = sum(np.ones((2, 4)) @ part for part in np.split(helpers.brute(flat), 3))
    samples.assert_close(interpret.lift(halves, on_fallback="raise")(flat), asked)


def test_other_ways_of_cutting_fall_back_and_are_right() -> None:
    node = samples.codebook(samples.rng(), 4, 6)
    dense = helpers.brute(node)
    cases = {
        "concatenate": (lambda w: jnp.concatenate([w, w]), np.concatenate([dense, dense])),
        "pad": (lambda w: jnp.pad(w, ((1, 0), (0, 2))), np.pad(dense, ((1, 0), (0, 2)))),
        "rev": (lambda w: w[::-1], dense[::-1]),
        "dynamic_update_slice": (lambda w: w.at[0].set(0.0), np.concatenate([0 * dense[:1], dense[1:]])),
    }
    for name, (f, asked) in cases.items():
        samples.assert_close(samples.lifted(f)(node), asked, name)
        assert {status for _, status in samples.statuses(f, node)} == {"fallback"}, name
