"""Codes and their nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.quant._grid import (
    make_grid,
    quantize,
)


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


@pytest.mark.thorough
@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from(["channel", "tensor", 4]))
def test_errors_are_at_most_half_a_step(seed, bits, granularity):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    for symmetric in (True, False):
        node, _ = quantize("k", x, grid(bits, granularity, symmetric))
        step = np.repeat(node.scale, 8 // node.scale.shape[0], axis=0)
        # With a zero point both ends may round outwards by half a step, and are clipped.
        slack = 0.5 if symmetric else 1.0
        assert np.all(np.abs(node.materialize() - x) <= step * (slack + 1e-3))


def test_the_stored_order():
    x = jnp.arange(6.0).reshape(2, 3)
    for axis, granularity, shape in ((-1, "channel", (3, 2)), (-1, "tensor", (3, 2)), (0, "channel", (2, 3))):
        node, _ = quantize("k", x, grid(axis=axis, granularity=granularity))
        assert node.codes.shape == shape
        assert node.shape == (2, 3)
    assert quantize("k", x, grid(order=()))[0].codes.shape == (2, 3)
    assert quantize("k", jnp.ones((3, 3, 2, 4)), grid())[0].codes.shape == (3, 3, 2, 4)


@pytest.mark.thorough
def test_the_compiler_changes_nothing(key):
    x = jax.random.normal(key, (64, 24))
    for bits, symmetric, granularity in ((2, False, "channel"), (5, True, 8), (8, True, "channel"), (8, False, 8)):
        g = grid(bits, granularity, symmetric)
        # The ratio is a constant to the compiler, which likes to fold constants into one another.
        ratio = jnp.full((1, 1), 0.7)
        eager = quantize("k", x, g, ratio)[0].materialize()
        compiled = jax.jit(lambda x, g=g, ratio=ratio: quantize("k", x, g, ratio)[0].materialize())(x)
        assert np.asarray(eager).tobytes() == np.asarray(compiled).tobytes()


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_shape_compiles_two_programs(symmetric, caplog):
    """Operations outside of jit would be compiled one by one, which takes minutes on the leaves of a model."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 15)), jnp.float32)
    with jax.log_compiles():
        quantize("k", x, grid(4, 5, symmetric, axis=0, order=(1, 0)))
    assert len([r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]) == 2


def test_bad_values():
    with pytest.raises(ValueError, match="'kernel' has 2 non-finite weights of 4"):
        quantize("kernel", jnp.array([[1.0, jnp.nan], [jnp.inf, 0.0]]), grid())
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite scales of 1; its range overflows float32"):
        quantize("kernel", jnp.array([[3e38], [-3e38]]), grid(symmetric=False))


def test_zeros_are_a_grid():
    node, _ = quantize("kernel", jnp.zeros((3, 2)), grid())
    assert node.scale.tolist() == [[1.0, 1.0]]
    assert not node.codes.any()
