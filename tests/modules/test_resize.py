"""Rebuilt Linen modules run the shrunk variables themselves."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from compressjax import structure
from compressjax.modules import resize
from compressjax.modules._resize import difference
from tests.interpret import cutting

KEY = jax.random.key(0)


def shrunk(model, x, **settings):
    variables = cutting.filled(jax.eval_shape(model.init, KEY, x))
    small = structure.shrink(model.apply, variables, x, **settings)
    return small, jax.jit(small.fn)(small.params, x)


@pytest.mark.thorough
def test_tuples_of_widths():
    model, x = cutting.ResNet(), jnp.ones((1, 8, 8, 1))
    small, expected = shrunk(model, x, keep={"params/Block_0/Conv_0/kernel:3": 2, "params/Block_1/Conv_0/kernel:3": 3})
    smaller = resize(model, small.params, x, expected=expected)
    assert smaller.mids == (2, 3)


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths of a transformer block."""

    width: int = 8
    heads: int = 4
    qkv: int = 24
    hidden: int = 20


class Block(nn.Module):
    """A block with its widths in a config."""

    config: Config

    @nn.compact
    def __call__(self, x):
        c = self.config
        x = x + nn.MultiHeadDotProductAttention(num_heads=c.heads, qkv_features=c.qkv, out_features=c.width)(x)
        return x + nn.Dense(c.width)(nn.gelu(nn.Dense(c.hidden)(x)))


@pytest.mark.thorough
def test_heads_and_hidden_units_of_a_config():
    model, x = Block(Config()), cutting.filled(jnp.ones((2, 3, 8)))
    small, expected = shrunk(model, x, keep={"params/MultiHeadDotProductAttention_0/key/kernel:1": 2,
                                             "params/Dense_1/kernel:1": 5})  # fmt: skip
    assert resize(model, small.params, x, expected=expected).config == Config(8, 2, 12, 5)


def test_a_scale_in_the_code_is_found_out():
    model, x = Block(Config()), cutting.filled(jnp.ones((2, 3, 8)))
    att = "params/MultiHeadDotProductAttention_0"
    small, expected = shrunk(model, x, keep={f"{att}/key/kernel:2": 3, f"{att}/value/kernel:2": 3})
    with pytest.raises(ValueError, match="scale or a mean"):
        resize(model, small.params, x, expected=expected)


def test_one_field_for_two_widths_must_keep_one_count():
    class Net(nn.Module):
        width: int = 6

        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.relu(nn.Dense(self.width)(nn.relu(nn.Dense(self.width)(x)))))

    x = jnp.ones((1, 2))
    same, expected = shrunk(Net(), x, keep=0.5)
    assert resize(Net(), same.params, x, expected=expected).width == 3
    other, expected = shrunk(Net(), x, keep={"params/Dense_1/kernel:1": 2, "params/Dense_2/kernel:1": 3})
    with pytest.raises(ValueError, match="share a field"):
        resize(Net(), other.params, x, expected=expected)


def test_widths_in_a_dict():
    class Net(nn.Module):
        widths: dict

        @nn.compact
        def __call__(self, x):
            for width in self.widths["hidden"]:
                x = nn.relu(nn.Dense(width)(x))
            return nn.Dense(self.widths["out"])(x)

    model, x = Net({"hidden": (6, 8), "out": 3}), jnp.ones((1, 2))
    small, expected = shrunk(model, x, keep={"params/Dense_0/kernel:1": 2, "params/Dense_1/kernel:1": 5})
    assert dict(resize(model, small.params, x, expected=expected).widths) == {"hidden": (2, 5), "out": 3}


class Grouped(nn.Module):
    """A convolution of groups between two ordinary ones."""

    groups: int
    outputs: int
    width: int = 8

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(self.width, (3, 3), name="c")(x))
        x = nn.relu(nn.Conv(self.outputs, (3, 3), feature_group_count=self.groups, name="g")(x))
        return nn.Conv(2, (3, 3), name="o")(x)


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("groups", "outputs", "keep", "fields"),
    [
        (2, 8, 0.5, (1, 2, 2)),
        (2, 8, {"params/c/kernel:3#2": 1, "params/g/kernel:3": 3}, (2, 6, 2)),
        (4, 8, {"params/c/kernel:3": 3}, (3, 6, 6)),
        (4, 8, {"params/g/kernel:3": 1}, (4, 4, 8)),
        (8, 16, 0.5, (4, 4, 4)),
    ],
)
def test_groups_and_what_is_within_them(groups, outputs, keep, fields):
    model, x = Grouped(groups, outputs), cutting.filled(jnp.ones((2, 4, 4, 4)))
    small, expected = shrunk(model, x, keep=keep)
    smaller = resize(model, small.params, x, expected=expected)
    assert (smaller.groups, smaller.outputs, smaller.width) == fields


def test_missing_collections_are_named():
    model, x = cutting.ResNet(), jnp.ones((1, 8, 8, 1))
    variables = jax.eval_shape(model.init, KEY, x)
    with pytest.raises(ValueError, match="batch_stats"):
        resize(model, {"params": variables["params"]}, x, expected=None)


def test_results_of_other_shapes_and_numbers_differ():
    assert difference({"a": jnp.array([1.0, -40.0])}, {"a": jnp.array([1.5, -40.0])}) == 0.5 / 40
    assert difference(jnp.ones((2, 1)), jnp.ones((2, 3))) == difference(jnp.array(jnp.nan), jnp.ones(())) == jnp.inf
