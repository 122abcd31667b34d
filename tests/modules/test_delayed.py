"""The Linen wrapper of delayed scaling against the function form, through training and a file."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import serialization
from flax.training.train_state import TrainState

from compressjax import modules, precision
from tests.helpers import array

X = array(0, (5, 8))


class Block(nn.Module):
    """Parameters and statistics; two products, or more in the longer one."""

    layers: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(6)(x))
        for _ in range(self.layers):
            x = nn.Dense(3)(nn.relu(x))
        return x


def test_three_steps_are_those_of_the_function_to_the_bit():
    """TrainState overwrites the states, which the function form has to be handed."""
    wrapped, plain = modules.Delayed(Block(), history=2, margin=1.0), Block()
    variables = jax.jit(wrapped.init)(jax.random.key(0), X)
    assert jax.tree.structure(variables["params"]) == jax.tree.structure(
        jax.eval_shape(plain.init, jax.random.key(0), X)["params"]
    )
    stats = {"batch_stats": variables.pop("batch_stats")}
    tx = optax.sgd(0.1)
    state = TrainState.create(apply_fn=wrapped.apply, params=variables, tx=tx)

    @jax.jit
    def theirs(state, stats, x):
        def loss(variables):
            out, changed = state.apply_fn({**variables, **stats}, x, train=True, mutable=["batch_stats"])
            return jnp.sum(out**2), changed

        grads, stats = jax.grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads), stats

    def call(params, stats, x):
        return plain.apply({"params": params, **stats}, x, train=True, mutable=["batch_stats"])

    run = precision.delayed(call, history=2, margin=1.0)

    @jax.jit
    def ours(params, held, stats, x):
        def loss(params, held):
            out, changed = run.apply(held, params, stats, x)
            return jnp.sum(out**2), changed

        (grads, held), stats = jax.grad(loss, (0, 1), has_aux=True)(params, held)
        return optax.apply_updates(params, tx.update(grads, tx.init(params))[0]), held, stats

    params, other = variables["params"], stats
    held = run.init(params, stats, X)
    for scale in (1.0, 20.0, 3.0):
        state, stats = theirs(state, stats, X * scale)
        params, held, other = ours(params, held, other, X * scale)
    assert list(held) == ["000.dot_general", "001.dot_general"]
    np.testing.assert_allclose(held["000.dot_general"].history[0], [3.0 * np.abs(X).max(), 20.0 * np.abs(X).max()])
    got = {**state.params, **stats}
    want = {"params": params, modules.SCALING: held, **other}
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    # A checkpoint holds the states as it holds parameters.
    empty = jax.tree.map(jnp.zeros_like, state)
    back = serialization.from_bytes(empty, serialization.to_bytes(state))
    jax.tree.map(np.testing.assert_array_equal, back.params, state.params)
    assert isinstance(back.params[modules.SCALING]["001.dot_general"], precision.Scaling)


def test_wrong_modules_are_named():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="is not a Linen module; NNXDelayed wraps NNX modules"):
        modules.Delayed(jnp.dot).init(key, X)
    with pytest.raises(ValueError, match="the function has no product"):
        modules.Delayed(nn.BatchNorm(use_running_average=True)).init(key, X)
    with pytest.raises(
        ValueError, match="no scaling states in '_overwrite_with_gradient', only .'batch_stats', 'params'"
    ):
        modules.Delayed(Block()).apply(Block().init(key, X), X)
    longer, short = (modules.Delayed(Block(n)).init(key, X) for n in (2, 1))
    with pytest.raises(ValueError, match=r"the call has, and the states have not a product '002\.dot_general'"):
        modules.Delayed(Block(2)).apply({**longer, modules.SCALING: short[modules.SCALING]}, X)
    with pytest.raises(ValueError, match=r"the states have, and the call has not a product '002\.dot_general'"):
        modules.Delayed(Block(1)).apply({**short, modules.SCALING: longer[modules.SCALING]}, X)


@pytest.mark.thorough
def test_orbax_gives_back_scales_and_their_history(tmp_path):
    model = modules.Delayed(Block(), history=2)
    variables = jax.jit(model.init)(jax.random.key(0), X)
    grads = jax.grad(lambda v: jnp.sum(model.apply(v, 20 * X) ** 2))(variables)
    held = {**variables, modules.SCALING: grads[modules.SCALING]}  # gradients of states are the next states
    assert float(held[modules.SCALING]["000.dot_general"].history[0].max()) > 10
    with ocp.StandardCheckpointer() as saver:
        saver.save(tmp_path / "state", held)
    with ocp.StandardCheckpointer() as saver:
        found = saver.restore(tmp_path / "state", jax.tree.map(jnp.zeros_like, held))
    assert jax.tree.structure(found) == jax.tree.structure(held)
    jax.tree.map(np.testing.assert_array_equal, found, held)
    np.testing.assert_array_equal(model.apply(found, X), model.apply(held, X))
