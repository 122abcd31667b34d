"""Masked networks of every kind equal narrowed ones, with half of every group removed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from compressjax import interpret
from tests.interpret import cutting

KEY = jax.random.key(0)
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
TOKENS = jnp.array([[1, 2, 3], [4, 5, 6]])


def linen(model, x):
    return model.apply, cutting.filled(jax.eval_shape(model.init, KEY, x)), x


class Recurrent(nn.Module):
    """A recurrent network."""

    cell: type

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.RNN(self.cell(6))(x))


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("case", "count"),
    [
        (lambda: linen(cutting.ResNet(), IMAGES), 4),
        (lambda: linen(cutting.Separable(), IMAGES), 5),
        (lambda: linen(cutting.Bert(), TOKENS), 9),
        (lambda: linen(Recurrent(nn.OptimizedLSTMCell), IMAGES[..., 0]), 1),
        (lambda: linen(Recurrent(nn.GRUCell), IMAGES[..., 0]), 1),
        (lambda: (cutting.llama_apply, cutting.llama(), TOKENS), 6),
    ],
    ids=["resnet", "separable", "bert", "lstm", "gru", "llama"],
)
def test_masked_equals_narrowed(case, count):
    assert len(cutting.agrees(*case())) == count


def test_nnx_transformer_block(draw):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.LayerNorm(8, rngs=rngs)
            self.att = nnx.MultiHeadAttention(2, 8, 12, decode=False, rngs=rngs)
            self.up, self.down = nnx.Linear(8, 10, rngs=rngs), nnx.Linear(10, 8, rngs=rngs)

        def __call__(self, x):
            x = x + self.att(self.norm(x))
            return x + self.down(nnx.gelu(self.up(x)))

    definition, state = nnx.split(nnx.eval_shape(lambda: Net(nnx.Rngs(0))))
    x = jnp.asarray(draw.normal(size=(2, 3, 8)), jnp.float32)
    assert len(cutting.agrees(lambda s, x: nnx.merge(definition, s)(x), cutting.filled(state), x)) == 4


def test_batch_norm_in_training_agrees_and_updates_smaller_statistics():
    model = cutting.ResNet()
    variables = cutting.filled(jax.eval_shape(model.init, KEY, IMAGES))

    def loss(v, x):
        out, new = model.apply(v, x, True, mutable=["batch_stats"])
        return (out**2).sum() + sum(jnp.sum(x) for x in jax.tree.leaves(new)) * 0

    assert cutting.agrees(loss, variables, IMAGES, tolerance=1e-4)


def mlp():
    draw = np.random.default_rng(0)
    p = {"a": draw.normal(size=(2, 4)), "b": draw.normal(size=(4, 1))}
    p = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), p)
    return (lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"]), p


def test_other_batch_sizes_run():
    fn, p = mlp()
    small = {"a": p["a"][:, [0, 3]], "b": p["b"][jnp.array([0, 3])]}
    run = interpret.narrow(fn, p, {"a:1": [0, 3]})
    for rows in (1, 5):
        x = jnp.ones((rows, 2))
        np.testing.assert_allclose(run(small, x), np.tanh(x @ small["a"]) @ small["b"], rtol=1e-6)


def test_gradients_are_those_of_the_smaller_function():
    fn, p = mlp()
    small = {"a": p["a"][:, [1]], "b": p["b"][jnp.array([1])]}
    run, x = interpret.narrow(fn, p, {"a:1": [1]}), jnp.ones((3, 2))
    got = jax.grad(lambda p: run(p, x).sum())(small)
    want = jax.grad(lambda p: (jnp.tanh(x @ p["a"]) @ p["b"]).sum())(small)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


def test_the_program_holds_no_array_of_the_old_width():
    fn, p = cutting.llama_apply, cutting.llama(hidden=13)
    groups = interpret.couplings(fn)(p, TOKENS)
    kept = {"layers/gate:2": list(range(7))}
    small = cutting.change(p, groups, kept, zero=False)
    text = jax.jit(interpret.narrow(fn, p, kept)).lower(small, TOKENS).as_text()
    assert "13xf32" not in text
    assert "7xf32" in text


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"c:1": [0]}, "no group 'c:1'.*can be cut: a:1"),
        ({"a:1": []}, "at least one"),
        ({"a:1": [4]}, "units 0 to 3"),
        ({"a:0": [0]}, "a:0.*cannot be cut.*data"),
    ],
)
def test_impossible_cuts_are_refused(kept, message):
    fn, p = mlp()
    with pytest.raises(ValueError, match=message):
        interpret.narrow(fn, p, kept)(p, jnp.ones((1, 2)))


def test_wrong_shapes_are_refused():
    fn, p = mlp()
    with pytest.raises(ValueError, match=r"'a' has shape \(2, 4\), but with these cuts \(2, 1\)"):
        interpret.narrow(fn, p, {"a:1": [0]})(p, jnp.ones((1, 2)))
