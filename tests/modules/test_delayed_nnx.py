"""The NNX wrapper of delayed scaling against the function form, through training and a copy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from compressjax import modules, precision
from tests.helpers import array

X = array(0, (5, 8))


class Block(nnx.Module):
    """Parameters and statistics."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.norm, self.head = (
            nnx.Linear(8, 6, rngs=rngs),
            nnx.BatchNorm(6, rngs=rngs),
            nnx.Linear(6, 3, rngs=rngs),
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(self.norm(self.dense(x)))


def test_three_steps_are_those_of_the_function_to_the_bit():
    model = modules.NNXDelayed(Block(nnx.Rngs(0)), jax.ShapeDtypeStruct(X.shape, X.dtype), history=2)
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    graph, params, rest = nnx.split(Block(nnx.Rngs(0)), nnx.Param, ...)
    wrt = nnx.DiffState(0, (nnx.Param, modules.ScalingState))

    @nnx.jit
    def theirs(model, optimizer, x):
        grads = nnx.grad(lambda m: jnp.sum(m(x) ** 2), argnums=wrt)(model)
        model.overwrite(grads)
        optimizer.update(model, grads)

    def call(params, rest, x):
        copy = nnx.merge(graph, params, rest)
        return copy(x), nnx.state(copy, nnx.Not(nnx.Param))

    run = precision.delayed(call, history=2)

    @jax.jit
    def ours(params, held, rest, x):
        def loss(params, held):
            out, rest_after = run.apply(held, params, rest, x)
            return jnp.sum(out**2), rest_after

        (grads, held), after = jax.grad(loss, (0, 1), has_aux=True)(params, held)
        updates, _ = optax.sgd(0.1).update(grads, optax.sgd(0.1).init(params))
        return optax.apply_updates(params, updates), held, after

    held = run.init(params, rest, X)
    for scale in (1.0, 20.0, 3.0):
        theirs(model, optimizer, X * scale)
        params, held, rest = ours(params, held, rest, X * scale)
    got = nnx.to_pure_dict(nnx.state(model.module))
    want = nnx.to_pure_dict(nnx.merge_state(params, rest))
    jax.tree.map(np.testing.assert_array_equal, got, want)
    jax.tree.map(np.testing.assert_array_equal, model.scaling_state.get_value(), held)
    np.testing.assert_allclose(held["000.dot_general"].history[0], [3.0 * np.abs(X).max(), 20.0 * np.abs(X).max()])
    # What is split off is whole: a new module of the same structure runs on.
    fresh = modules.NNXDelayed(Block(nnx.Rngs(1)), X, history=2)
    nnx.update(fresh, nnx.state(model))
    np.testing.assert_array_equal(fresh(X), model(X))


def test_wrong_modules_are_named():
    with pytest.raises(ValueError, match="is not an NNX module; Delayed wraps Linen modules"):
        modules.NNXDelayed(jnp.dot, X)
    with pytest.raises(ValueError, match="the function has no product"):
        modules.NNXDelayed(nnx.BatchNorm(8, rngs=nnx.Rngs(0)), X)
    model = modules.NNXDelayed(Block(nnx.Rngs(0)), X)
    with pytest.raises(ValueError, match="the gradients have no scaling states; take them by nnx.grad"):
        model.overwrite(nnx.grad(lambda m: jnp.sum(m(X)))(model))
    model.module = nnx.Linear(8, 3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"the states have, and the call has not a product '001\.dot_general'"):
        model(X)


class Switched(nnx.Module):
    """A module that cannot be called without its keyword."""

    def __init__(self):
        self.inner = modules.NNXDelayed(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), X)

    def __call__(self, x, *, train):
        return self.inner.module(x) if train else x


def test_keywords_of_the_example_and_states_of_a_larger_model():
    model = modules.NNXDelayed(Switched(), X, example_kwargs={"train": True})
    assert list(model.scaling_state.get_value()) == ["000.dot_general"]
    larger = Switched()
    wrt = nnx.DiffState(0, (nnx.Param, modules.ScalingState))
    grads = nnx.grad(lambda m: jnp.sum(m.inner(X)), argnums=wrt)(larger)
    with pytest.raises(ValueError, match=r"lie under \['inner'\].*overwrite\(grads\['inner'\]\)"):
        larger.inner.overwrite(grads)
    larger.inner.overwrite(grads["inner"])
    assert float(larger.inner.scaling_state.get_value()["000.dot_general"].history[0].max()) == np.abs(X).max()
