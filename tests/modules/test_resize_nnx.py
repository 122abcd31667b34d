"""NNX modules on shrunk states remember the widths of a module that was built small, and compute what it does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from compressjax import structure
from compressjax.modules import resize_nnx
from tests.interpret import cutting
from tests.structure import nnx_nets

SEQUENCES = cutting.filled(jnp.ones((2, 3, 5)))
SQUARES = cutting.filled(jnp.ones((2, 4, 4, 1)))


def image(channels):
    return cutting.filled(jnp.ones((1, 4, 4, channels)))


def conv(inputs, outputs, groups):
    return functools.partial(nnx.Conv, inputs, outputs, (3, 3), feature_group_count=groups)


def attention(heads, kept, size):
    return functools.partial(nnx.MultiHeadAttention, heads, 5, heads * size, num_kv_heads=kept, decode=False)


def rnn(cell, size):
    return lambda rngs: nnx.RNN(cell(5, size, rngs=rngs))


def up(inputs, outputs, transposed):
    return functools.partial(nnx.ConvTranspose, inputs, outputs, (3, 3), transpose_kernel=transposed)


def norm(kind, width):
    return functools.partial(kind, width, use_running_average=True) if kind is nnx.BatchNorm else functools.partial(
        kind, width)  # fmt: skip


def numbers(model):
    """Every number and tuple that the modules of a model remember."""
    modules = [(path, node) for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    plain = {(path, n): dict(v) if hasattr(v, "items") else v for path, m in modules for n, v in vars(m).items()}
    return {where: value for where, value in plain.items() if isinstance(value, int | tuple | dict)}


LAYERS = {
    "linear": (functools.partial(nnx.Linear, 5, 6), functools.partial(nnx.Linear, 5, 3), SEQUENCES),
    "general": (functools.partial(nnx.LinearGeneral, 5, (2, 3)), functools.partial(nnx.LinearGeneral, 5, (2, 1)),
                SEQUENCES),
    "batched": (functools.partial(nnx.LinearGeneral, 5, 4, batch_axis={0: 6}),
                functools.partial(nnx.LinearGeneral, 5, 3, batch_axis={0: 2}), SEQUENCES),
    "conv": (conv(4, 8, 1), conv(3, 5, 1), image(3)),
    "whole groups": (conv(8, 8, 4), conv(6, 6, 3), image(6)),
    "half of each group": (conv(8, 8, 2), conv(4, 4, 2), image(4)),
    "one of two groups": (conv(8, 8, 2), conv(4, 4, 1), image(4)),
    "outputs of groups": (conv(8, 8, 4), conv(8, 4, 4), image(8)),
    "depthwise": (conv(8, 16, 8), conv(5, 10, 5), image(5)),
    "up": (up(4, 6, False), up(3, 2, False), image(3)),
    "up transposed": (up(4, 6, True), up(3, 2, True), image(3)),
    "einsum": (functools.partial(nnx.Einsum, "abc,cd->abd", (5, 6), (6,)),
               functools.partial(nnx.Einsum, "abc,cd->abd", (5, 2), (2,)), SEQUENCES),
    "embed": (functools.partial(nnx.Embed, 5, 4), functools.partial(nnx.Embed, 5, 3), jnp.array([0, 4])),
    "lora": (functools.partial(nnx.LoRA, 5, 2, 6), functools.partial(nnx.LoRA, 5, 2, 3), SEQUENCES),
    "attention": (attention(4, 2, 3), attention(2, 1, 3), SEQUENCES),
    "groups of a norm": (functools.partial(nnx.GroupNorm, 8, num_groups=4),
                         functools.partial(nnx.GroupNorm, 6, num_groups=3), image(6)),
    **{kind.__name__: (norm(kind, 7), norm(kind, 5), SEQUENCES)
       for kind in (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.InstanceNorm)},
    **{cell.__name__: (rnn(cell, 6), rnn(cell, 3), SEQUENCES)
       for cell in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell)},
}  # fmt: skip


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_remember_what_a_layer_that_was_built_small_does(name):
    wide, small, x = LAYERS[name]
    built = small(rngs=nnx.Rngs(1))
    model = nnx.eval_shape(lambda: wide(rngs=nnx.Rngs(0)))
    before = numbers(model)
    got = resize_nnx(model, nnx.state(built), x, expected=built(x))
    assert numbers(got) == numbers(built) != before == numbers(model)


run = nnx.jit(lambda model, x: model(x))


class Net(nnx.Module):
    """Convolutions (one depthwise) with a norm, then attention over positions and a dense layer."""

    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(1, 6, (3, 3), rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
        self.deep = nnx.Conv(6, 12, (3, 3), feature_group_count=6, rngs=rngs)
        self.att = nnx.MultiHeadAttention(4, 12, 16, decode=False, rngs=rngs)
        self.drop, self.out = nnx.Dropout(0.5, deterministic=True, rngs=rngs), nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.deep(nnx.relu(self.norm(self.conv(x)))))
        x = self.att(x.reshape(x.shape[0], -1, x.shape[-1]))
        return self.out(self.drop(x.mean(1)))


def shrunk(kind, x, **settings):
    """The module without numbers, the smaller model, and what it returns."""
    fn, state = nnx_nets.split(kind)
    small = structure.shrink(fn, state, x, **settings)
    return nnx.eval_shape(lambda: kind(nnx.Rngs(0))), small, jax.jit(small.fn)(small.params, x)


@pytest.mark.thorough
def test_a_resized_module_computes_what_the_shrunk_function_does():
    model, small, want = shrunk(Net, SQUARES, keep=0.5, select="att/key/kernel:1|.*conv/kernel:3")
    smaller = resize_nnx(model, small.params, SQUARES, expected=want)
    np.testing.assert_allclose(run(smaller, SQUARES), want, rtol=1e-4, atol=1e-4)
    assert (smaller.att.num_heads, smaller.deep.feature_group_count, model.att.num_heads) == (2, 3, 4)
    smaller.out.bias[...] = jnp.ones(3)
    assert float(jnp.abs(small.params["out"]["bias"][...] - 1).min()) > 0  # the state is not the module's

    pure = nnx.to_pure_dict(small.params)
    resize_nnx(model, pure, SQUARES, expected=want)
    with pytest.raises(ValueError, match=r"disagree on \['more'\]"):
        resize_nnx(model, {**pure, "more": jnp.ones(2)}, SQUARES, expected=want)
    with pytest.raises(ValueError, match=r"disagree on .*norm/mean.*shrink the whole state.*nnx\.split\(model\)"):
        resize_nnx(model, nnx.filter_state(small.params, nnx.Param), SQUARES, expected=want)


class Above(nnx.Module):
    """A width that the module above the array remembers."""

    def __init__(self, width, rngs):
        self.width, self.up = width, nnx.Linear(5, width, rngs=rngs)

    def __call__(self, x):
        return self.up(x).reshape(*x.shape[:-1], self.width)


class Scaled(Above):
    """A width that only a scale uses."""

    def __call__(self, x):
        return self.up(x) / self.width


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(Above, r"does not run: TypeError: .*with integers: Above at the root\): set the new width.*shrink returned"),
     (Scaled, "scale or a mean")],
)  # fmt: skip
def test_widths_of_your_own_are_yours_to_set(kind, reason):
    model, small = kind(6, nnx.Rngs(0)), kind(4, nnx.Rngs(0))
    with pytest.raises(ValueError, match=reason):
        resize_nnx(model, nnx.state(small), SEQUENCES, expected=small(SEQUENCES))
    model.width = 4
    assert resize_nnx(model, nnx.state(small), SEQUENCES, expected=small(SEQUENCES)).up.out_features == 4


def test_what_a_module_raises_is_named_with_its_type():
    class Strict(nnx.Linear):
        def __call__(self, x):
            raise AssertionError

    small = nnx.state(nnx.Linear(5, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"AssertionError: no message; .*with integers: Strict at the root"):
        resize_nnx(Strict(5, 6, rngs=nnx.Rngs(0)), small, SEQUENCES, expected=SEQUENCES)
