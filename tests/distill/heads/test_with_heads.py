"""A Linen student with heads: what it returns, how it trains, and what is left."""

import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import distill

pytestmark = pytest.mark.loose


class Net(nn.Module):
    """A layer with BatchNorm, a block that is computed again, and a layer that is called twice."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train, name="norm")(nn.Dense(4, name="first")(x))
        twice = nn.Dense(4, name="twice")
        x = nn.remat(nn.Dense)(4, name="again")(nn.tanh(twice(twice(x))))
        return nn.Dense(2, name="last")(x)


def test_activations_are_those_of_the_student_and_heads_are_dropped(key: jax.Array) -> None:
    features = {"first": 7, "twice#1": 4, "again": 3}
    model, x = distill.WithHeads(Net(), features), jax.random.normal(key, (5, 3))
    variables = model.init(key, x)
    assert set(variables["params"]["heads"]) == {"first", "again"}  # the widths of the others agree
    (out, own), moved = model.apply(variables, x, train=True, mutable=["batch_stats"])
    left = model.variables_of_student(variables)
    assert jax.tree.structure(left) == jax.tree.structure(Net().init(key, x))
    want, state = Net().apply(left, x, train=True, mutable=["batch_stats", "intermediates"], capture_intermediates=True)
    np.testing.assert_array_equal(out, want)
    jax.tree.map(np.testing.assert_array_equal, model.variables_of_student(moved)["batch_stats"], state["batch_stats"])
    found = distill.from_flax(state["intermediates"])
    for path, width in features.items():
        assert own[path].shape == (5, width)
        head = variables["params"]["heads"].get(path, {"kernel": np.eye(4), "bias": np.zeros(4)})
        np.testing.assert_allclose(own[path], found[path] @ head["kernel"] + head["bias"], rtol=1e-5, atol=1e-6)


class Stack(nn.Module):
    """Layers in a scan."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        axes = {"params": 0, "intermediates": 0}
        layer = nn.scan(Layer, axes, split_rngs={"params": True}, length=3)
        return layer(name="layers")(x, None)[0]


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.tanh(nn.Dense(4, name="dense")(x)), None


def test_activations_leave_a_scan_as_a_stack(key: jax.Array) -> None:
    model, x = distill.WithHeads(Stack(), {"layers/dense": 6}), jax.random.normal(key, (5, 4))
    variables = model.init(key, x)
    out, own = model.apply(variables, x)
    assert own["layers/dense"].shape == (3, 5, 6)
    dense, head = variables["params"]["student"]["layers"]["dense"], variables["params"]["heads"]["layers/dense"]
    for i in range(3):
        before = x @ dense["kernel"][i] + dense["bias"][i]
        np.testing.assert_allclose(own["layers/dense"][i], before @ head["kernel"], rtol=1e-4, atol=1e-5)
        x = jnp.tanh(before)
    np.testing.assert_allclose(out, x, rtol=1e-5)


def test_one_optimizer_trains_student_and_heads(key: jax.Array) -> None:
    model, x = distill.WithHeads(Net(), {"again": 3}), jax.random.normal(key, (5, 3))
    variables = model.init(key, x)
    tx = optax.adam(0.05)

    @jax.jit
    def step(params, state):
        def loss(params):
            return distill.hint_loss(model.apply({**variables, "params": params}, x)[1]["again"], x)

        value, slopes = jax.value_and_grad(loss)(params)
        updates, state = tx.update(slopes, state)
        return optax.apply_updates(params, updates), state, value

    params, state, values = variables["params"], tx.init(variables["params"]), []
    for _ in range(60):
        params, state, value = step(params, state)
        values.append(float(value))
    assert values[-1] < 0.3 * values[0]
    assert not np.array_equal(params["student"]["first"]["kernel"], variables["params"]["student"]["first"]["kernel"])


@pytest.mark.thorough
def test_flax_is_imported_on_first_use() -> None:
    with pytest.raises(AttributeError, match="compressjax.distill has no 'WithHead'"):
        distill.WithHead  # noqa: B018
    code = "import sys, compressjax.distill as d; assert 'flax' not in sys.modules; d.NNXWithHeads, d.WithHeads"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("features", [{}, {"secnd": 3}])
def test_paths_that_do_not_exist_are_named(features: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"WithHeads: features=.* must name activations .*'first'"):
        distill.WithHeads(Net(), features).init(jax.random.key(0), jnp.ones((2, 3)))
