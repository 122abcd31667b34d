"""NNX modules on shrunk states remember the new widths and compute what the shrunk function does."""

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


def shrunk(kind, x, **settings):
    """The module without numbers, the smaller model, and what it returns."""
    fn, state = nnx_nets.split(kind)
    small = structure.shrink(fn, state, x, **settings)
    return nnx.eval_shape(lambda: kind(nnx.Rngs(0))), small, jax.jit(small.fn)(small.params, x)


run = nnx.jit(lambda model, x: model(x))


class Net(nnx.Module):
    """Convolutions (one depthwise) with a norm, then attention over positions and a dense layer."""

    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(1, 6, (3, 3), rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
        self.deep = nnx.Conv(6, 12, (3, 3), feature_group_count=6, rngs=rngs)
        self.att = nnx.MultiHeadAttention(4, 12, 16, decode=False, rngs=rngs)
        self.general = nnx.LinearGeneral(12, (2, 3), rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.deep(nnx.relu(self.norm(self.conv(x)))))
        x = self.att(x.reshape(x.shape[0], -1, x.shape[-1]))
        x = self.general(x.mean(1))
        return self.out(nnx.relu(x.reshape(x.shape[0], -1)))


def test_resized_module_computes_what_the_shrunk_function_does():
    model, small, want = shrunk(Net, SQUARES, keep=0.5, select="att/key/kernel:1|.*conv/kernel:3")
    smaller = resize_nnx(model, small.params, SQUARES, expected=want)
    np.testing.assert_allclose(run(smaller, SQUARES), want, rtol=1e-4, atol=1e-4)
    assert smaller.att.num_heads == smaller.att.num_kv_heads == 2
    assert smaller.att.qkv_features == 8
    assert (smaller.conv.out_features, smaller.norm.num_features) == (3, 3)
    assert (smaller.deep.feature_group_count, smaller.deep.in_features, smaller.deep.out_features) == (3, 3, 6)
    assert model.att.num_heads == 4
    assert model.norm.num_features == 6


class Recurrent(nnx.Module):
    """A cell in a loop over time, and a dense layer."""

    def __init__(self, cell, rngs):
        self.rnn, self.out = nnx.RNN(cell(5, 6, rngs=rngs)), nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(self.rnn(x))


@pytest.mark.parametrize("cell", [nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell])
def test_cells_make_a_carry_of_the_new_width(cell):
    model, small, want = shrunk(functools.partial(Recurrent, cell), SEQUENCES, keep=0.5)
    smaller = resize_nnx(model, small.params)
    np.testing.assert_allclose(run(smaller, SEQUENCES), want, rtol=1e-5, atol=1e-5)
    assert (smaller.rnn.cell.in_features, smaller.rnn.cell.hidden_features) == (5, 3)
    assert smaller.out.in_features == 3


class Upward(nnx.Module):
    """Transposed convolutions, a norm of groups between them."""

    def __init__(self, transposed, rngs):
        self.up = nnx.ConvTranspose(1, 12, (3, 3), strides=(2, 2), transpose_kernel=transposed, rngs=rngs)
        self.norm = nnx.GroupNorm(12, num_groups=4, rngs=rngs)
        self.out = nnx.ConvTranspose(12, 2, (3, 3), transpose_kernel=transposed, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.norm(self.up(x))))


@pytest.mark.parametrize("transposed", [False, True])
def test_transposed_convolutions_and_whole_groups(transposed):
    model, small, want = shrunk(functools.partial(Upward, transposed), SQUARES, keep=0.5)
    smaller = resize_nnx(model, small.params)
    np.testing.assert_allclose(run(smaller, SQUARES), want, rtol=1e-5, atol=1e-5)
    assert (smaller.up.in_features, smaller.up.out_features, smaller.out.in_features) == (1, 6, 6)
    assert smaller.out.kernel_shape == tuple(small.params["out"]["kernel"].shape)
    assert (smaller.norm.num_groups, smaller.norm.group_size) == (2, 3)


class Grouped(nnx.Module):
    """A convolution of groups between two ordinary ones."""

    def __init__(self, groups, outputs, rngs):
        self.c, self.o = nnx.Conv(4, 8, (3, 3), rngs=rngs), nnx.Conv(outputs, 2, (3, 3), rngs=rngs)
        self.g = nnx.Conv(8, outputs, (3, 3), feature_group_count=groups, rngs=rngs)

    def __call__(self, x):
        return self.o(nnx.relu(self.g(nnx.relu(self.c(x)))))


PLANES = cutting.filled(jnp.ones((2, 4, 4, 4)))
INPUTS, OUTPUTS, GROUPS = "c/kernel:3#2", "g/kernel:3", "c/kernel:3"  # what is cut of a grouped convolution


@pytest.mark.parametrize(
    ("groups", "outputs", "keep", "widths"),
    [
        (2, 8, {INPUTS: 2}, (2, 4, 8)),
        (2, 8, {OUTPUTS: 3}, (2, 8, 6)),
        (2, 8, {INPUTS: 1, OUTPUTS: 3}, (2, 2, 6)),
        (4, 8, {GROUPS: 3}, (3, 6, 6)),
        (4, 8, {GROUPS: 3, INPUTS: 1}, (3, 3, 6)),
        (8, 8, 0.5, (4, 4, 4)),
        (8, 16, {GROUPS: 5}, (5, 5, 10)),
    ],
)
def test_groups_are_counted_where_shapes_determine_them(groups, outputs, keep, widths):
    model, small, want = shrunk(functools.partial(Grouped, groups, outputs), PLANES, keep=keep)
    smaller = resize_nnx(model, small.params)
    assert (smaller.g.feature_group_count, smaller.g.in_features, smaller.g.out_features) == widths
    np.testing.assert_allclose(run(smaller, PLANES), want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("groups", "outputs", "keep", "widths"),
    [
        (2, 8, 0.5, (1, 2, 2)),
        (2, 8, {GROUPS: 1}, (1, 4, 4)),
        (2, 8, {OUTPUTS: 2}, (2, 8, 4)),
        (4, 8, {OUTPUTS: 1}, (4, 8, 4)),
        (8, 16, 0.5, (4, 4, 4)),
    ],
)
def test_groups_that_shapes_leave_open_are_counted_on_example_arguments(groups, outputs, keep, widths):
    model, small, want = shrunk(functools.partial(Grouped, groups, outputs), PLANES, keep=keep)
    with pytest.raises(ValueError, match=r"Conv at g cannot be resized: its kernel \(3, 3, .* is now \(3, 3, .* which "
                                         r"fits . or . groups; give example arguments.*shrink returned"):  # fmt: skip
        resize_nnx(model, small.params)
    smaller = resize_nnx(model, small.params, PLANES, expected=want)
    assert (smaller.g.feature_group_count, smaller.g.in_features, smaller.g.out_features) == widths
    assert smaller.g.conv_general_dilated is model.g.conv_general_dilated
    model.g.feature_group_count, _, model.g.out_features = widths
    np.testing.assert_allclose(run(resize_nnx(model, small.params), PLANES), want, rtol=1e-5, atol=1e-4)


def test_a_grouped_convolution_that_the_example_does_not_reach_is_refused():
    class Idle(Grouped):
        def __call__(self, x):
            return self.c(x)

    small = shrunk(functools.partial(Grouped, 2, 8), PLANES, keep=0.5)[1]
    idle = nnx.eval_shape(lambda: Idle(2, 8, nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"Conv at g cannot be resized: .*fits 1 or 2 groups"):
        resize_nnx(idle, small.params, PLANES)


def test_kernels_of_no_number_of_groups_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 7\), which fits no number of groups"):
        cut(functools.partial(nnx.Conv, 8, 8, (1,), feature_group_count=2), lambda x: x[..., :7])


def test_a_part_of_every_group_is_refused():
    model, small, _ = shrunk(functools.partial(Upward, False), SQUARES, keep=0.5, allow_inexact=True)
    with pytest.raises(ValueError, match=r"GroupNorm at norm cannot be resized: 4 channels are no whole groups of 3.*"
                                         r"function that shrink returned"):  # fmt: skip
        resize_nnx(model, small.params)


def cut(kind, change, *args):
    """A module on a state whose arrays were changed by hand."""
    model = nnx.eval_shape(lambda: kind(rngs=nnx.Rngs(0)))
    return resize_nnx(model, jax.tree.map(change, cutting.filled(nnx.state(model))), *args)


def test_embeddings_general_layers_and_factors():
    assert cut(functools.partial(nnx.LinearGeneral, 4, (2, 3)), lambda x: x[..., :2]).out_features == (2, 2)
    batched = cut(functools.partial(nnx.LinearGeneral, 4, 3, batch_axis={0: 6}), lambda x: x[:5, ..., :2])
    assert (dict(batched.batch_axis), batched.in_features, batched.out_features) == ({0: 5}, (4,), (2,))
    assert run(batched, jnp.ones((5, 7, 4))).shape == (5, 7, 2)
    assert cut(functools.partial(nnx.Embed, 5, 4), lambda x: x[:, :3]).features == 3
    assert cut(functools.partial(nnx.Einsum, "ab,bc->ac", (4, 3)), lambda x: x[:, :2]).kernel_shape == (4, 2)
    assert cut(functools.partial(nnx.LoRA, 4, 2, 5), lambda x: x[:2]).in_features == 2


def test_queries_of_fewer_keys():
    grouped = functools.partial(nnx.MultiHeadAttention, 4, 5, 12, num_kv_heads=2, decode=False)
    model, small, _ = shrunk(lambda rngs: grouped(rngs=rngs), SEQUENCES, keep={"key/kernel:1": 1})
    smaller = resize_nnx(model, small.params)
    assert (smaller.num_heads, smaller.num_kv_heads) == (2, 1)


def test_the_state_is_not_the_modules():
    state = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    smaller = resize_nnx(nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0))), state)
    smaller.bias[...] = jnp.ones(3)
    np.testing.assert_array_equal(state["bias"][...], np.zeros(3))


class Normed(nnx.Module):
    """A norm whose statistics are no parameters, and dropout, whose key is none either."""

    def __init__(self, rngs):
        self.up, self.norm = nnx.Linear(5, 6, rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs)
        self.drop, self.out = nnx.Dropout(0.5, deterministic=True, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(nnx.relu(self.norm(self.up(x)))))


def test_a_part_of_the_state_is_refused_with_the_way_out():
    model = Normed(nnx.Rngs(0))
    definition, params, rest = nnx.split(model, nnx.Param, ...)
    small = structure.shrink(lambda p, x: nnx.merge(definition, p, rest)(x), params, SEQUENCES, keep=0.5)
    with pytest.raises(ValueError, match=r"state lacks .*norm/mean.*shrink the whole state.*nnx\.split\(model\)"):
        resize_nnx(model, small.params)
    with pytest.raises(ValueError, match=r"state has \['more'\], which the module does not hold"):
        resize_nnx(model, {**nnx.to_pure_dict(nnx.state(model)), "more": jnp.ones(2)})
    # Put together again, the statistics are too wide, as nothing cut them.
    with pytest.raises(ValueError, match=r"BatchNorm at norm cannot be resized: .*\[3, 6\].*whole state"):
        resize_nnx(model, nnx.merge_state(small.params, rest))


def test_the_whole_state_is_what_the_refusal_asks_for():
    model, x = Normed(nnx.Rngs(0)), SEQUENCES
    definition, state = nnx.split(model)
    small = structure.shrink(lambda s, x: nnx.merge(definition, s)(x), state, x, keep=0.5)
    smaller = resize_nnx(model, small.params, x, expected=small.fn(small.params, x))
    assert smaller.norm.mean.shape == (3,)
    pure = resize_nnx(model, nnx.to_pure_dict(small.params))
    np.testing.assert_allclose(run(pure, x), run(smaller, x))


class Own(nnx.Module):
    """A layer that remembers its width."""

    def __init__(self, rngs):
        self.width, self.kernel = 6, nnx.Param(jax.random.normal(rngs.params(), (5, 6)))
        self.out = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        return self.out((x @ self.kernel).reshape(-1, self.width))


class OwnCell(nnx.RNNCellBase):
    """A cell that is not Flax's."""

    def __init__(self, inputs, size, rngs):
        self.size = size
        self.up, self.turn = nnx.Linear(inputs, size, rngs=rngs), nnx.Linear(size, size, rngs=rngs)

    num_feature_axes = 1

    def initialize_carry(self, shape, rngs=None):
        return jnp.zeros((*shape[:-1], self.size))

    def __call__(self, carry, x):
        carry = jnp.tanh(self.up(x) + self.turn(carry))
        return carry, carry


class Heads(nnx.Module):
    """A number of heads in the code, which no array holds."""

    def __init__(self, rngs):
        self.heads, self.up, self.out = 3, nnx.Linear(5, 6, rngs=rngs), nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        y = self.up(x).reshape(*x.shape[:-1], self.heads, 2)
        return self.out(nnx.relu(y).reshape(*x.shape[:-1], 6))


def test_widths_of_your_own_are_yours_to_set():
    model, small, want = shrunk(Own, SEQUENCES[0], keep=0.5)
    with pytest.raises(ValueError, match=r"Own at the root cannot be resized: its width is 6.*set the new one"):
        resize_nnx(model, small.params)
    model.width = 3
    np.testing.assert_allclose(run(resize_nnx(model, small.params), SEQUENCES[0]), want, rtol=1e-5, atol=1e-5)


class Wide(nnx.Linear):
    """A subclass of a layer of Flax that remembers its width once more."""

    def __init__(self, inputs, outputs, rngs):
        super().__init__(inputs, outputs, rngs=rngs)
        self.width = outputs

    def __call__(self, x):
        return super().__call__(x).reshape(-1, self.width)


class Above(nnx.Module):
    """A width that the module of the array does not remember, but the one above."""

    def __init__(self, rngs):
        self.width, self.up, self.out = 6, nnx.Linear(5, 6, rngs=rngs), nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.up(x)).reshape(-1, self.width))


class Layers(nnx.Module):
    """As many layers as units, and no number that is a width."""

    def __init__(self, rngs):
        self.all = nnx.List([nnx.Linear(5, 6, rngs=rngs), *(nnx.Linear(6, 6, rngs=rngs) for _ in range(5))])

    def __call__(self, x):
        for layer in self.all:
            x = layer(x)
        return x


def test_a_subclass_of_a_layer_is_refused_for_what_it_adds():
    wide = functools.partial(Wide, 5, 6)
    with pytest.raises(ValueError, match=r"Wide at the root cannot be resized: its width is 6.*set the new one"):
        cut(wide, lambda x: x[..., :3])
    # What Flax itself remembers is none of it, a kernel's size for one.
    assert cut(functools.partial(type("Same", (nnx.Conv,), {}), 4, 3, (3, 3)), lambda x: x[..., :2]).out_features == 2


def test_widths_above_the_array_are_refused_unless_results_agree():
    model, small, want = shrunk(Above, SEQUENCES[0], keep=0.5)
    for args in ((), SEQUENCES[:1]):
        with pytest.raises(ValueError, match=r"Above at the root .*: its width is 6, a width that was cut below it"):
            resize_nnx(model, small.params, *args)
    with pytest.raises(ValueError, match="does not run"):
        resize_nnx(model, small.params, SEQUENCES[0], expected=want)
    model.width = 3
    resize_nnx(model, small.params, SEQUENCES[0], expected=want)
    unused, small, want = shrunk(Layers, SEQUENCES, keep=0.5)
    unused.width = 6
    assert resize_nnx(unused, small.params, SEQUENCES, expected=want).all[0].out_features == 3


def test_as_many_layers_as_units_are_no_width():
    model, small, want = shrunk(Layers, SEQUENCES, keep=0.5)
    np.testing.assert_allclose(run(resize_nnx(model, small.params), SEQUENCES), want, rtol=1e-5, atol=1e-5)


def test_an_unknown_cell_is_named_before_it_runs():
    model, small, want = shrunk(functools.partial(Recurrent, OwnCell), SEQUENCES, keep=0.5)
    with pytest.raises(ValueError, match=r"OwnCell at rnn/cell cannot be resized: its size is 6.*shrink returned"):
        resize_nnx(model, small.params)
    model.rnn.cell.size = 3
    resize_nnx(model, small.params, SEQUENCES, expected=want)


def test_a_module_that_does_not_run_is_refused_with_the_suspects():
    model, small, _ = shrunk(Heads, SEQUENCES, keep={"up/kernel:1": 2})
    with pytest.raises(ValueError, match=r"does not run: .*of their own: Heads at the root; set new widths"):
        resize_nnx(model, small.params, SEQUENCES)


@pytest.mark.parametrize(("message", "said"), [((), "no message"), (("of heads\nand more",), "of heads")])
def test_what_a_module_raises_is_named_with_its_type(message, said):
    class Strict(nnx.Linear):
        def __call__(self, x):
            if self.out_features % 3:
                raise AssertionError(*message)
            return super().__call__(x)

    with pytest.raises(ValueError, match=f"does not run: AssertionError: {said}; modules with"):
        cut(functools.partial(Strict, 5, 6), lambda x: x[..., :4], jnp.ones((2, 5)))


def test_a_scale_in_the_code_is_found_out():
    attention = functools.partial(nnx.MultiHeadAttention, 2, 5, 12, decode=False)
    model, small, want = shrunk(
        lambda rngs: attention(rngs=rngs), SEQUENCES, keep={"key/kernel:2": 3, "value/kernel:2": 3}
    )
    assert resize_nnx(model, small.params, SEQUENCES).head_dim == 3
    with pytest.raises(ValueError, match="scale or a mean"):
        resize_nnx(model, small.params, SEQUENCES, expected=want)
