"""States in and out of variable collections."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import core, modules, prune, quant, tensors
from tests import toys
from tests.helpers import array

PARAMS = {"a": {"kernel": array(0, (4, 3)), "bias": array(1, (3,))}, "b": {"kernel": array(2, (3, 2))}}
COMPRESSION = core.chain(prune.gradual(0.5, end=1, every=1), quant.fake_quant(4))


def test_round_trip():
    state = jax.jit(lambda p: COMPRESSION.after_step(p, COMPRESSION.init(p))[1])(PARAMS)
    variables = modules.with_state({"params": PARAMS, "batch_stats": {"m": jnp.ones(1)}}, state)
    back = modules.state_of(variables, COMPRESSION)
    assert jax.tree.structure(back) == jax.tree.structure(state)
    assert jax.tree.all(jax.tree.map(lambda x, y: (x == y).all(), back, state))
    assert variables["batch_stats"] == {"m": jnp.ones(1)}


def test_attach_is_init():
    variables = modules.attach({"params": PARAMS}, toys.mask())
    assert variables["compression"]["mask"]["a"]["kernel"].all()
    assert "bias" not in variables["compression"]["mask"]["a"]


def test_encode_is_the_core_encode():
    variables = modules.attach({"params": PARAMS, "batch_stats": {}}, COMPRESSION)
    encoded = modules.encode(variables, COMPRESSION)
    assert set(encoded) == {"params", "batch_stats"}
    assert isinstance(encoded["params"]["a"]["kernel"], tensors.Masked)
    assert encoded["params"]["a"]["bias"] is PARAMS["a"]["bias"]


def test_a_stale_state_is_dropped():
    variables = modules.with_state({"params": PARAMS, "compression": {"old": jnp.ones(1)}}, ())
    assert set(variables) == {"params"}


def test_another_models_state_is_refused():
    variables = modules.attach({"params": PARAMS}, toys.mask())
    other = {**variables, "params": {**PARAMS, "b": {"kernel": jnp.ones((3, 5))}}}
    with pytest.raises(
        ValueError, match=r"an array \(3, 2\) at 'mask/b/kernel', where the state has an array \(3, 5\)"
    ):
        modules.state_of(other, toys.mask())
    with pytest.raises(ValueError, match="holds nothing at 'states/0/count'"):
        modules.encode(variables, COMPRESSION)


def test_variables_without_params_are_refused():
    with pytest.raises(ValueError, match=r"no 'params', only \['Dense_0'\]"):
        modules.attach({"Dense_0": {}}, toys.mask())
