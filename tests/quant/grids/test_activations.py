"""Scales of activations, and what was never observed."""

import jax.numpy as jnp
import pytest

from compressjax.quant._grid import activation_scale, check_range


def test_activation_scale():
    assert float(activation_scale(jnp.array(12.7))) == pytest.approx(0.1)
    assert float(activation_scale(jnp.array(0.0))) == 1.0


def test_unseen_activations_are_none():
    check_range("rtn", "kernel", jnp.array(0.5))
    for absmax in (0.0, jnp.nan, jnp.inf):
        with pytest.raises(ValueError, match=r"rtn: the largest input of 'kernel' is (0.0|nan|inf), so"):
            check_range("rtn", "kernel", jnp.array(absmax))
