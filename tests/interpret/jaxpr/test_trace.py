"""What may be an argument or a result of a lifted function."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.interpret.jaxpr._trace import abstractly, run
from tests import helpers
from tests.interpret import samples


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layer:
    """A module in the manner of Equinox: a pytree with static fields and a call."""

    kernel: Any
    bias: Any
    name: str = dataclasses.field(metadata={"static": True})

    def __call__(self, x: jax.Array) -> jax.Array:
        """A dense layer."""
        return x @ self.kernel + self.bias[None]


class Pair(NamedTuple):
    """Two arrays."""

    first: Any
    second: Any


@pytest.fixture
def node() -> Any:
    """A node."""
    return samples.low_rank(samples.rng(), (4, 3))


def test_arguments_that_are_not_arrays_stay_static(node: Any) -> None:
    def f(w: Any, x: Any, flag: bool, name: str, g: Any, nothing: None, *, n: int, scale: float = 1.0) -> jax.Array:
        assert type(flag) is bool
        assert type(n) is int
        assert type(scale) is float
        assert nothing is None
        for _ in range(n):
            x = g(x)
        return scale * (x @ w if flag else x @ w + len(name))

    x = jnp.ones((2, 4))
    got = interpret.lift(f)(node, x, False, "abc", jnp.sin, None, n=2, scale=0.5)
    asked = 0.5 * (np.sin(np.sin(np.ones((2, 4)))) @ helpers.brute(node) + 3)
    samples.assert_close(got, asked)
    assert len(interpret.explain(f)(node, x, True, "", jnp.sin, None, n=1)) == 1


def test_python_numbers_stay_weak(node: Any) -> None:
    low = interpret.lift(lambda w, x, c: (x @ w) * c)(node, jnp.ones((2, 4), jnp.float32), 2.0)
    assert low.dtype == jnp.float32
    half = samples.grid(samples.rng(), (4, 3), dtype="bfloat16")
    assert interpret.lift(lambda w, x, c: (x @ w) * c)(half, jnp.ones((2, 4), jnp.bfloat16), 2.0).dtype == jnp.bfloat16


def test_numpy_arguments_and_scalars(node: Any) -> None:
    got = interpret.lift(lambda w, x, c: c * (x @ w))(node, np.ones((2, 4), np.float32), np.float32(3))
    samples.assert_close(got, 3 * np.ones((2, 4)) @ helpers.brute(node))


def test_results_of_any_structure(node: Any) -> None:
    def f(w: Any, x: jax.Array) -> Any:
        return {"y": Pair(x @ w, None), "name": "layer", "f": jnp.sin, "n": 3, "x": x, "empty": ()}

    out = interpret.lift(f)(node, jnp.ones((2, 4)))
    samples.assert_close(out["y"].first, np.ones((2, 4)) @ helpers.brute(node))
    assert out["y"].second is None
    assert (out["name"], out["f"], out["n"], out["empty"]) == ("layer", jnp.sin, 3, ())


def test_a_weight_that_is_returned_is_dense(node: Any) -> None:
    out = samples.lifted(lambda w: {"w": w, "t": w.T})({"kernel": node}["kernel"])
    samples.assert_close(out["w"], helpers.brute(node))
    samples.assert_close(out["t"], helpers.brute(node).T)
    rows = interpret.explain(lambda p: p)({"kernel": node})
    assert [(r.path, r.primitive, r.status) for r in rows] == [("kernel", "return", "fallback")]


def test_nodes_anywhere_in_the_arguments(node: Any) -> None:
    layer = Layer(node, jnp.ones(3), "dense")
    x = jnp.ones((2, 4))
    asked = np.ones((2, 4)) @ helpers.brute(node) + 1
    samples.assert_close(interpret.lift(lambda layer, x: layer(x))(layer, x), asked)
    samples.assert_close(interpret.lift(lambda x, *, layers: layers[0](x))(x, layers=[layer]), asked)
    samples.assert_close(interpret.lift(Layer.__call__)(layer, x), asked)
    assert interpret.explain(lambda layer, x: layer(x))(layer, x)[0].path == "kernel"
    assert interpret.explain(lambda x, *, layers: layers[0](x))(x, layers=[layer])[0].path == "0/kernel"
    assert interpret.explain(lambda x, w: x @ w)(x, node)[0].path == ""


def test_the_function_sees_dense_shapes_and_dtypes(node: Any) -> None:
    def f(w: Any) -> jax.Array:
        assert w.shape == (4, 3)
        assert w.dtype == jnp.float32
        assert w.ndim == 2
        return jnp.ones((w.shape[0],)) @ w

    assert interpret.lift(f)(node).shape == (3,)


def test_closures_over_arrays_and_tracers(node: Any) -> None:
    big = jnp.arange(8.0).reshape(2, 4)

    @jax.jit
    def outer(x: jax.Array) -> jax.Array:
        return interpret.lift(lambda w: (big + x) @ w)(node)

    samples.assert_close(outer(jnp.float32(1.0)), (np.arange(8.0).reshape(2, 4) + 1) @ helpers.brute(node))


def test_errors_of_the_function_come_through(node: Any) -> None:
    with pytest.raises(TypeError, match="dot_general"):
        interpret.lift(lambda w, x: x @ w)(node, jnp.ones((2, 5)))


def test_run_without_weights() -> None:
    out = run(lambda x, y: (x + y, "s"), (jnp.ones(2),), {"y": 1.0}, lambda path, leaf: None, None)
    assert out[0].tolist() == [2.0, 2.0]
    assert out[1] == "s"


def test_abstract_calls_keep_leaves_that_are_no_arrays():
    args = {"w": jax.ShapeDtypeStruct((3, 4), jnp.float32), "act": jnp.tanh, "n": 2}
    out = abstractly(lambda p, x: p["act"](x @ p["w"]) * p["n"], args, np.ones((5, 3), np.float32))
    assert (out.shape, out.dtype) == ((5, 4), jnp.float32)
