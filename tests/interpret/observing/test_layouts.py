"""Layouts of whole functions, and the ways in which real models build the weights that they multiply."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from compressjax import layouts, observe
from compressjax.core import Layout
from tests.interpret import samples

DRAW = samples.rng(0)
W, V = samples.floats(DRAW, 4, 4), samples.floats(DRAW, 4, 4)
X = samples.floats(DRAW, 6, 4)


def gram(stats):
    return np.asarray(stats.gram, np.float64)


def test_a_whole_function():
    """Only what is multiplied with data has a layout; arguments may be abstract."""
    params = {"table": jnp.ones((9, 4)), "w": W, "gain": jnp.ones((1, 4)), "head": jnp.ones((4,)), "unused": W}

    def f(p, tokens):
        h = p["table"][tokens] * p["gain"]
        return (h @ p["w"].T) @ p["table"].T, h @ p["head"]

    found = layouts(f)(params, jax.ShapeDtypeStruct((5,), jnp.int32))
    in_out, out_in, vector = Layout((), (0,), (1,)), Layout((), (1,), (0,)), Layout((), (0,), ())
    assert found == {"table": out_in, "w": out_in, "head": vector}
    assert in_out not in found.values()
    assert layouts(lambda p, x: x + p["gain"])(params, X) == {}
    assert layouts(lambda p, x: x)({"step": 3}, X) == {}


BUILT = {
    "weight norm": lambda w, v, x: x @ (w * jax.lax.rsqrt(jnp.sum(w * w, 0, keepdims=True)) * v[:1]),
    "an adapter": lambda w, v, x: x @ (w + v[:, :2] @ v[:2]),
    "a scaled kernel": lambda w, v, x: x @ (w / 2),
    "joined outputs": lambda w, v, x: x @ jnp.concatenate([w, v], 1),
    "joined experts": lambda w, v, x: jnp.einsum("ni,eio->eno", x, jnp.concatenate([w[None], v[None]])),
    "joined inputs": lambda w, v, x: jnp.concatenate([x, 2 * x], 1) @ jnp.concatenate([v, w], 0),
}


@pytest.mark.parametrize("name", BUILT)
def test_weights_are_followed_through_parameters(name):
    f = BUILT[name]
    _, stats = observe(lambda p, x: f(p["w"], p["v"], x), select="w|v" if "joined" in name else "w")(
        {"w": W, "v": V}, X
    )
    rows = np.asarray(2 * X if name == "joined inputs" else X, np.float64)
    np.testing.assert_allclose(gram(stats["w"]), rows.T @ rows, rtol=1e-5)
    assert stats["w"].layout == Layout((), (0,), (1,))
    if "joined" in name:
        np.testing.assert_allclose(gram(stats["v"]), np.asarray(X, np.float64).T @ X, rtol=1e-5)


def test_data_that_is_scaled_by_a_weight_is_no_weight():
    """The product of data and a weight of its shape is data: the next kernel is observed."""
    _, stats = observe(lambda p, x: (x[:4] * p["v"]) @ p["w"])({"w": W, "v": V}, X)
    assert list(stats) == ["w"]


def test_experts_of_a_ragged_product():
    sizes, rows = jnp.array([2, 0, 4]), np.asarray(X, np.float64)
    _, stats = observe(lambda p, x: jax.lax.ragged_dot(x, p["w"], sizes))({"w": jnp.ones((3, 4, 5))}, X)
    assert stats["w"].layout == Layout((0,), (1,), (2,))
    assert stats["w"].count.tolist() == [2, 0, 4]
    for e, part in enumerate((rows[:2], rows[:0], rows[2:])):
        np.testing.assert_allclose(gram(stats["w"])[e], part.T @ part, rtol=1e-5)
        np.testing.assert_allclose(stats["w"].largest[e], np.abs(part).max(0, initial=0), rtol=1e-6)


@pytest.mark.turns(3)
@pytest.mark.parametrize("loop", ["scan", "while", "jit in scan"])
def test_weights_carried_unchanged_through_a_loop(loop):
    def step(carry, x):
        w, h = carry
        return (w, jnp.tanh(h @ w + x)), None

    def f(p, xs):
        start = p["w"], jnp.zeros_like(xs[0])
        if loop == "while":
            body = lambda c: (c[0] + 1, step(c[1], xs[c[0]])[0])  # noqa: E731
            return jax.lax.while_loop(lambda c: c[0] < 3, body, (0, start))[1][1]
        return jax.lax.scan(jax.jit(step) if loop == "jit in scan" else step, start, xs)[0][1]

    xs = samples.floats(samples.rng(1), 3, 2, 4)
    out, stats = observe(f)({"w": W}, xs)
    np.testing.assert_allclose(out, f({"w": W}, xs), rtol=1e-6)
    assert stats["w"].count == 6


@pytest.mark.thorough
def test_cells_of_flax():
    """Linen joins the kernels of its optimized cell; NNX carries its module through the loop."""
    xs = samples.floats(samples.rng(2), 1, 3, 4)
    cell = nn.RNN(nn.OptimizedLSTMCell(4))
    params = cell.init(jax.random.key(0), xs)
    found = layouts(cell.apply)(params, xs)
    assert len(found) == 8
    assert set(found.values()) == {Layout((), (0,), (1,))}
    rnn = nnx.RNN(nnx.GRUCell(4, 4, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    graph, state = nnx.split(rnn)
    assert len(layouts(lambda p, x: nnx.merge(graph, p)(x))(state, xs)) == 2
