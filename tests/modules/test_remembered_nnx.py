"""Numbers in attributes are found at any depth, those of Flax left out, and held against what was cut."""

import dataclasses

import jax.numpy as jnp
import pytest
from flax import nnx

from compressjax.modules._remembered_nnx import flat, held, refuse_lost, remembered


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths, as a model's config has them."""

    widths: tuple[int, ...] = (4, 6)
    names: str = "no number"


class Scaled(nnx.Module):
    """An array, and what remembers its width."""

    def __init__(self, width, memory):
        self.scale, self.memory = nnx.Param(jnp.ones(width)), memory


@pytest.mark.parametrize(
    ("memory", "where"),
    [
        (6, "memory"),
        ([1, (2, 6)], "memory.1.1"),
        ({"sizes": {"inner": 6}}, "memory.sizes.inner"),
        (Config(), "memory.widths.1"),
        ({"config": Config()}, "memory.config.widths.1"),
    ],
)
def test_numbers_are_found_at_any_depth(memory, where):
    assert (where, 6) in list(remembered(Scaled(6, memory), known=False))
    with pytest.raises(ValueError, match=rf"its {where} is 6, a width that was cut, and"):
        refuse_lost(Scaled(3, memory), Scaled(6, memory), known=False, below=False)
    refuse_lost(Scaled(6, memory), Scaled(6, memory), known=False, below=True)


@pytest.mark.parametrize(
    "layer",
    [
        lambda r: nnx.Linear(5, 6, rngs=r),
        lambda r: nnx.LinearGeneral(4, (2, 3), batch_axis={0: 6}, rngs=r),
        lambda r: nnx.Conv(4, 6, (3, 3), rngs=r),
        lambda r: nnx.ConvTranspose(4, 6, (3, 3), rngs=r),
        lambda r: nnx.Einsum("ab,bc->ac", (4, 3), (3,), rngs=r),
        lambda r: nnx.Embed(5, 4, rngs=r),
        lambda r: nnx.LoRALinear(4, 6, lora_rank=2, rngs=r),
        lambda r: nnx.MultiHeadAttention(4, 12, 16, decode=False, rngs=r),
        lambda r: nnx.GroupNorm(12, num_groups=4, rngs=r),
        lambda r: nnx.BatchNorm(6, rngs=r),
        lambda r: nnx.OptimizedLSTMCell(5, 6, rngs=r),
        lambda r: nnx.List([nnx.Linear(5, 6, rngs=r)] * 2),
    ],
)
def test_what_flax_sets_is_left_out(layer):
    made = layer(nnx.Rngs(0))
    assert list(remembered(made, known=True)) == []
    made.own = 6
    assert list(remembered(made, known=True)) == [("own", 6)]


class Above(nnx.Module):
    """A width, and the array below."""

    def __init__(self, width):
        self.width, self.below, self.count = 6, Scaled(width, None), nnx.Variable(3)


def test_arrays_below_count_on_request():
    refuse_lost(Above(3), Above(6), known=False, below=False)
    with pytest.raises(ValueError, match=r"its width is 6, a width that was cut below it.* example arguments"):
        refuse_lost(Above(3), Above(6), known=False, below=True)


def test_arrays_are_named():
    assert held(Scaled(3, 2)) == {"scale": (3,)}
    assert list(flat(nnx.state(Above(3)))) == ["below/scale", "count"]
