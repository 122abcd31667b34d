"""Loops and branches that weights enter; stacks of layers stay compressed from one iteration to the next."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from tests import helpers
from tests.interpret import samples

LAYERS, WIDTH = 3, 4


def stacks() -> dict[str, Any]:
    """Nodes `[layers, in, out]` that can be split over their first axis."""
    shape, draw = (LAYERS, WIDTH, WIDTH), samples.rng(7)
    out = {k: v for k, v in samples.zoo(shape).items() if "low rank" not in k and not k.startswith("sum")}
    out |= {k: v for k, v in samples.active(shape).items() if "stored" not in k}
    out = {k: v for k, v in out.items() if not getattr(v, "order", ()) and "groups" not in k}
    out["low rank"] = samples.low_rank(draw, shape, batch=1)
    out["transposed grid"] = samples.grid(draw, shape, (LAYERS, 1, WIDTH), order=(1, 0), activation="dynamic")
    out["one scale for all layers"] = samples.grid(draw, shape, order=(1, 0), activation="static")
    out["a static scale a layer"] = dataclasses.replace(
        samples.grid(draw, shape, activation="static"), activation_scale=jnp.full(LAYERS, 0.02)
    )
    out["vmapped"] = jax.vmap(lambda c: samples.grid(draw, shape[1:], (1, WIDTH), activation="dynamic").__class__(
        c, jnp.full((1, WIDTH), 0.01), activation="dynamic"
    ))(jnp.asarray(draw.integers(-127, 128, shape), jnp.int8))  # fmt: skip
    return out


def by_scan(w: Any, x: jax.Array, **options: Any) -> tuple[jax.Array, jax.Array]:
    """A stack of layers as a scan, with the activations of every layer."""

    def layer(h: jax.Array, w: Any) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(h @ w)
        return h, h

    return jax.lax.scan(layer, x, w, **options)


def by_loop(w: np.ndarray, x: np.ndarray, reverse: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The same in NumPy."""
    h, rows = helpers.float64(x), [None] * len(w)
    for i in reversed(range(len(w))) if reverse else range(len(w)):
        h = rows[i] = np.tanh(h @ w[i])
    return h, np.stack(rows)


@pytest.mark.turns(2)
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"unroll": 2}, {"unroll": True}], ids=str)
def test_stacked_layers(options: dict[str, Any]) -> None:
    nodes, x = stacks(), samples.floats(samples.rng(1), 2, WIDTH)
    f = samples.lifted(lambda ws, x: {k: by_scan(w, x, **options) for k, w in ws.items()})
    got = jax.jit(f)(nodes, x)
    for name, node in nodes.items():
        out, rows = by_loop(helpers.brute(node), x, options.get("reverse", False))
        rough = 0.1 if getattr(node, "activation", None) else 2e-5
        samples.assert_close(got[name][0], out, name, rough)
        samples.assert_close(got[name][1], rows, name, rough)


def test_scans_hold_no_dense_stack() -> None:
    """Neither before nor after compilation is there a float array of the stack's shape."""
    big = (5, 48, 40)
    draw, x = samples.rng(), samples.floats(samples.rng(1), 2, 48)

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, w: (jnp.pad(jnp.tanh(h @ w), ((0, 0), (0, 8))), None), x, w)[0]

    for node, native in [
        (samples.low_rank(draw, big, batch=1), True),
        (samples.grid(draw, big, (5, 1, 40), order=(1, 0), activation="dynamic"), True),
        (samples.grid(draw, big, (5, 1, 40)), False),
        (samples.codebook(draw, *big), False),
    ]:
        lowered = jax.jit(samples.lifted(f)).lower(node, x)
        dense = re.compile(r"f32\[(5,)(48,40|40,48)\]|tensor<5x(48x40|40x48)xf32>")
        assert not dense.search(lowered.as_text())
        assert not dense.search(lowered.compile().as_text())
        one = re.compile(r"tensor<(1x)?(48x40|40x48)xf32>")
        assert bool(one.search(lowered.as_text())) is not native
        assert samples.statuses(f, node, x) == {("dot_general", "native" if native else "dense")}
    assert dense.search(jax.jit(f).lower(jnp.ones(big), x).as_text())  # the dense program does hold one


def test_stacks_that_cannot_be_split_fall_back() -> None:
    node = samples.low_rank(samples.rng(), (LAYERS, WIDTH, WIDTH), inputs=2)
    x = samples.floats(samples.rng(1), 2, WIDTH)
    samples.assert_close(samples.lifted(by_scan)(node, x)[0], by_loop(helpers.brute(node), x)[0])
    (row,) = [r for r in interpret.explain(by_scan)(node, x) if r.status == "fallback"]
    assert row.primitive == "scan"
    assert "stack" in row.reason


def test_scan_with_constants_rows_and_carries() -> None:
    """One weight closed over, one scanned over, one that the loop changes."""
    draw = samples.rng()
    fixed, stack = samples.low_rank(draw, (WIDTH, WIDTH)), samples.low_rank(draw, (LAYERS, WIDTH, WIDTH), batch=1)
    moving = samples.codebook(draw, WIDTH, WIDTH)
    x = samples.floats(draw, 2, WIDTH)

    def f(p: Any, x: jax.Array) -> Any:
        def step(carry: Any, w: Any) -> Any:
            h, m = carry
            h = jnp.tanh(h @ p["fixed"] + h @ w + h @ m)
            return (h, 0.5 * m), h.sum()

        (h, m), sums = jax.lax.scan(step, (x, p["moving"]), p["stack"])
        return h, m, sums

    nodes = {"fixed": fixed, "stack": stack, "moving": moving}
    got = samples.quick(samples.lifted(f))(nodes, x)
    w = {k: helpers.brute(n) for k, n in nodes.items()}
    h, m, sums = helpers.float64(x), w["moving"], []
    for layer in w["stack"]:
        h = np.tanh(h @ w["fixed"] + h @ layer + h @ m)
        m = 0.5 * m
        sums.append(h.sum())
    for a, b in zip(got, (h, m, np.array(sums)), strict=True):
        samples.assert_close(a, b)
    rows = {(r.path, r.status) for r in interpret.explain(f)(nodes, x)}
    assert rows == {("fixed", "native"), ("stack", "native"), ("moving", "fallback")}


def test_gradients_through_scans() -> None:
    draw = samples.rng()
    node, x = samples.low_rank(draw, (LAYERS, WIDTH, WIDTH), batch=1), samples.floats(draw, 2, WIDTH)
    for wrap in (lambda f: f, jax.checkpoint):
        f = lambda w, x, wrap=wrap: jnp.sum(  # noqa: E731
            jax.lax.scan(wrap(lambda h, w: (jnp.tanh(h @ w), None)), x, w)[0]
        )
        got = jax.jit(jax.grad(interpret.lift(f), (0, 1)))(node, x)
        asked = jax.grad(lambda n, x, f=f: f(n.materialize(), x), (0, 1))(node, x)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(asked), strict=True):
            samples.assert_close(a, b)


def test_recurrent_weights_that_a_loop_closes_over() -> None:
    """A recurrent network: one kernel for all steps; forms without a native product are made dense once, outside."""
    draw = samples.rng()
    x = samples.floats(draw, 20, 2, WIDTH)

    def last(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), x[0], x)[0]

    nodes = samples.zoo((WIDTH, WIDTH))
    got = jax.jit(interpret.lift(lambda ws, x: {k: last(w, x) for k, w in ws.items()}))(nodes, x)
    for name, node in nodes.items():
        h = helpers.float64(x[0])
        for row in helpers.float64(x):
            h = np.tanh(h @ helpers.brute(node) + row)
        samples.assert_close(got[name], h, name, 1e-3)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_while_loops(steps: int) -> None:
    draw = samples.rng()
    body, test = samples.low_rank(draw, (WIDTH, WIDTH)), samples.codebook(draw, WIDTH, WIDTH)
    x = samples.floats(draw, 2, WIDTH)

    def f(p: Any, x: jax.Array, n: jax.Array) -> jax.Array:
        going = lambda c: (c[0] < n) & (jnp.sum(c[1] @ p["test"]) < 1e6)  # noqa: E731
        return jax.lax.while_loop(going, lambda c: (c[0] + 1, jnp.tanh(c[1] @ p["body"])), (0, x))[1]

    nodes = {"body": body, "test": test}
    h = helpers.float64(x)
    for _ in range(steps):
        h = np.tanh(h @ helpers.brute(body))
    samples.assert_close(samples.quick(samples.lifted(f))(nodes, x, steps), h)
    rows = {(r.path, r.status) for r in interpret.explain(f)(nodes, x, jnp.int32(3))}
    assert rows == {("body", "native"), ("test", "dense")}


def test_while_loops_that_change_a_weight() -> None:
    node = samples.codebook(samples.rng(), WIDTH, WIDTH)
    f = lambda w: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (0, w))[1]  # noqa: E731
    samples.assert_close(samples.lifted(f)(node), 8 * helpers.brute(node))


def test_parameters_that_a_loop_only_hands_on_stay_compressed() -> None:
    node, x = samples.low_rank(samples.rng(), (WIDTH, WIDTH)), samples.floats(samples.rng(1), 2, WIDTH)

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 3, lambda i, c: (c[0], jnp.tanh(c[1] @ c[0])), (w, x))[1]

    assert samples.statuses(f, node, x) == {("dot_general", "native")}


@pytest.mark.parametrize("branch", [0, 1, 2])
def test_branches(branch: int) -> None:
    draw = samples.rng()
    nodes = {"a": samples.low_rank(draw, (WIDTH, WIDTH)), "b": samples.codebook(draw, WIDTH, WIDTH)}
    x = samples.floats(draw, 2, WIDTH)

    def f(p: Any, x: jax.Array, i: jax.Array) -> jax.Array:
        return jax.lax.switch(i, [lambda: x @ p["a"], lambda: x @ p["b"], lambda: x @ p["a"].T], *())

    w = {k: helpers.brute(n) for k, n in nodes.items()}
    asked = [x @ w["a"], x @ w["b"], x @ w["a"].T][branch]
    samples.assert_close(jax.jit(interpret.lift(f))(nodes, x, branch), asked)
    rows = {(r.path, r.status) for r in interpret.explain(f)(nodes, x, jnp.int32(0))}
    assert rows == {("a", "native"), ("b", "dense")}


def test_branches_that_return_a_weight_and_predicates_from_weights() -> None:
    node = samples.codebook(samples.rng(), WIDTH, WIDTH)
    w = helpers.brute(node)
    f = lambda w: jax.lax.cond(jnp.sum(w) > 0, lambda: w, lambda: -w)  # noqa: E731
    samples.assert_close(samples.lifted(f)(node), np.sign(w.sum()) * w)
    batched = jax.vmap(lambda i: samples.lifted(lambda w: jax.lax.cond(i > 0, lambda: w, lambda: 0 * w))(node))
    samples.assert_close(batched(jnp.array([0, 1])), np.stack([0 * w, w]))


def test_branches_by_platform_reach_the_compiler() -> None:
    node, x = samples.low_rank(samples.rng(), (WIDTH, WIDTH)), samples.floats(samples.rng(1), 2, WIDTH)

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.platform_dependent(x, w, cpu=lambda x, w: x @ w, default=lambda x, w: x @ w.T)

    samples.assert_close(samples.quick(samples.lifted(f))(node, x), helpers.float64(x) @ helpers.brute(node))
    assert samples.statuses(f, node, x) == {("cond", "fallback")}


def test_everything_nested() -> None:
    """A scan over remat, jit, a branch and a custom derivative, as in large models."""
    draw = samples.rng()
    stack, x = samples.low_rank(draw, (LAYERS, WIDTH, WIDTH), batch=1), samples.floats(draw, 2, WIDTH)

    @jax.jit
    def block(w: Any, h: jax.Array) -> jax.Array:
        return jax.lax.cond(h.sum() > 1e9, lambda: h, lambda: jax.nn.relu(h @ w) + jax.nn.silu(h @ w.T))

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, w: (jax.checkpoint(block)(w, h), None), x, w)[0]

    h = helpers.float64(x)
    for w in helpers.brute(stack):
        y = h @ w.T
        h = np.maximum(h @ w, 0) + y / (1 + np.exp(-y))
    samples.assert_close(jax.jit(interpret.lift(f, on_fallback="raise"))(stack, x), h)
    got = jax.grad(lambda n: jnp.sum(interpret.lift(f)(n, x)))(stack)
    asked = jax.grad(lambda n: jnp.sum(f(n.materialize(), x)))(stack)
    samples.assert_close(got.left, asked.left, tolerance=1e-4)
