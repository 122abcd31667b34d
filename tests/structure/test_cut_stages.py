"""Stages: their operations, weights and messages are those of the layers in them."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.interpret import predict_flops
from compressjax.structure import cut_stages
from tests.structure.nets import LAYERS, ROWS, WIDTH, fn, inputs, params


def test_layers_of_a_loop_are_cut_apart():
    example = jax.eval_shape(lambda: (params(), *inputs(ROWS)))
    found = cut_stages(fn, *example, count=2, slack=0.3)
    assert sum(stage.flops for stage in found.stages) == predict_flops(fn, params())(*inputs(ROWS))
    layer, table = 4 * (WIDTH * WIDTH + WIDTH), 4 * 5 * WIDTH
    first, last = found.stages
    # Each holds two of the layers and the table, which both read; only the state travels.
    assert [first.weight_bytes, last.weight_bytes] == [LAYERS // 2 * layer + table] * 2
    assert (first.sent_bytes, last.sent_bytes) == (4 * ROWS * WIDTH, 0)
    assert len(last.receives) == 1
    assert max(stage.flops for stage in found.stages) <= max(stage.flops for stage in found.even)


def test_what_is_read_later_crosses_every_cut():
    """A skip over a wide middle: the cut goes where the array is narrow, as far as the slack allows."""

    def skip(p, x):
        h = jnp.tanh(x @ p["up"])
        return x + h @ p["down"]

    tree = {"up": jnp.ones((4, 32)), "down": jnp.ones((32, 4))}
    found = cut_stages(skip, tree, jnp.ones((3, 4)), count=2)
    assert found.stages[0].sent_bytes == 4 * 3 * (32 + 4)
    assert [stage.weight_bytes for stage in found.stages] == [512, 512]


def test_the_table_shows_costs_before_and_after():
    lines = str(cut_stages(fn, params(), *inputs(ROWS), count=2)).splitlines()
    assert lines[0].split() == ["cut", "stage", "flops", "share", "weight", "bytes", "sent", "bytes"]
    assert [line.split()[0] for line in lines[1:]] == ["whole", "even", "even", "balanced", "balanced"]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="the function has 1 equations on data, too few for count=2"):
        cut_stages(lambda p, x: x @ p, jnp.eye(2), jnp.ones((1, 2)), count=2)
    with pytest.raises(ValueError, match="count=0 must be at least 1"):
        cut_stages(lambda p, x: x @ p, jnp.eye(2), jnp.ones((1, 2)), count=0)
