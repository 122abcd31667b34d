"""Stored activations of Linen and NNX, beside taps of the same modules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from compressjax import distill


class Net(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = linen.Dense(4, use_bias=False)(x)
        self.sow("intermediates", "hidden", hidden)
        return linen.Dense(2)(linen.relu(hidden))


@pytest.mark.loose
def test_linen(key: jax.Array) -> None:
    net, x = Net(), jax.random.normal(key, (3, 5))
    variables = net.init(key, x)
    out, state = net.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
    found = distill.from_flax(state)
    assert set(found) == {"Dense_0", "Dense_1", "__call__", "hidden"}
    np.testing.assert_array_equal(found["__call__"], out)
    same, tapped = distill.taps(net.apply, select="params/Dense_0/kernel")(variables, x)
    np.testing.assert_allclose(tapped["params/Dense_0/kernel"], found["hidden"], atol=1e-6)
    np.testing.assert_allclose(same, out, atol=1e-6)
    np.testing.assert_array_equal(found["Dense_0"], distill.from_flax(state["intermediates"])["hidden"])


class Twin(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = self.first(x)
        self.sow(nnx.Intermediate, "hidden", hidden)
        return nnx.relu(hidden)


@pytest.mark.loose
def test_nnx(key: jax.Array) -> None:
    model, x = Twin(nnx.Rngs(0)), jax.random.normal(key, (3, 5))
    _, state = nnx.capture(lambda model, x: (model(x), model(2 * x)), nnx.Intermediate)(model, x)
    found = distill.from_flax(state)
    assert list(found) == ["hidden", "hidden#1"]
    np.testing.assert_allclose(found["hidden"], model.first(x), atol=1e-6)
    np.testing.assert_allclose(found["hidden#1"], model.first(2 * x), atol=1e-6)
    graph, state = nnx.split(model)
    forward = lambda state, x: nnx.merge(graph, state).first(x)  # noqa: E731
    _, tapped = distill.taps(forward, select="first/kernel")(state, x)
    np.testing.assert_allclose(tapped["first/kernel"] + model.first.bias[...], found["hidden"], atol=1e-6)


def test_nothing_stored() -> None:
    with pytest.raises(ValueError, match="nothing was stored; call Linen's apply with capture_intermediates"):
        distill.from_flax({"intermediates": {}})


def test_names_of_several_calls() -> None:
    found = distill.from_flax({"a": {"__call__": (jnp.zeros(1), jnp.ones(1))}, "a_b": (jnp.zeros(2),)})
    assert {name: x.tolist() for name, x in found.items()} == {"a": [0.0], "a#1": [1.0], "a_b": [0.0, 0.0]}


class Cells(linen.Module):
    """Modules that return tuples and dictionaries, twice each."""

    @linen.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        cell, carry = linen.LSTMCell(2, name="cell"), (x, x)
        for _ in range(2):
            carry, out = cell(carry, x)
        self.sow("intermediates", "both", (carry[0], {"last": out}))
        return {"out": out}


def test_parts_of_tuples_are_named_by_place_and_calls_by_number() -> None:
    net, x = Cells(), jnp.ones((1, 2))
    out, state = net.init_with_output(
        jax.random.key(0), x, capture_intermediates=True, mutable=["intermediates", "params"]
    )
    found = distill.from_flax(state["intermediates"])
    parts = {f"cell/{place}{call}" for place in ("0/0", "0/1", "1") for call in ("", "#1")}
    assert {name for name in found if not name.startswith("cell/")} == {"both/0", "both/1/last", "__call__/out"}
    assert parts <= set(found)
    for name in ("cell/0/1#1", "both/1/last", "__call__/out"):
        np.testing.assert_array_equal(found[name], found["cell/1#1"])
    np.testing.assert_array_equal(found["both/0"], found["cell/0/0#1"])
    assert not np.array_equal(found["cell/1"], found["cell/1#1"])
    np.testing.assert_array_equal(out["out"], found["__call__/out"])
