"""NaN, infinite and negative settings are refused by every method."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import prune
from compressjax.prune.patterns._checks import check_strength

KEY = jax.random.key(0)
CALLS = {
    "l0: penalty": lambda x: prune.l0(x, KEY, end=1),
    "soft_movement: penalty": lambda x: prune.soft_movement(penalty=x),
    "proximal_l1: strength": prune.proximal_l1,
    "proximal_group.*: strength": prune.proximal_group,
    "proximal_nuclear: strength": prune.proximal_nuclear,
    "sr_ste: decay": lambda x: prune.sr_ste(decay=x),
    "topkast: penalty": lambda x: prune.topkast(0.5, 0.2, penalty=x),
    "sparsegpt: damping": lambda x: prune.sparsegpt(0.5, damping=x),
    "soft_threshold: decay": lambda x: prune.soft_threshold(decay=x),
    "variational: .*strength": lambda x: prune.variational(8, KEY, end=1, strength=x),
    "woodfisher: .*damping": lambda x: prune.woodfisher(jnp.sum, [jnp.ones((2, 2))], 0.5, damping=x),
    "power": lambda x: prune.schedules.polynomial(0.5, end=3, power=x),
}


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", CALLS)
def test_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        CALLS[name](value)


@pytest.mark.parametrize("name", CALLS)
def test_a_small_number_is_not(name):
    assert CALLS[name](0.5)


def test_functions_of_the_step_pass():
    check_strength("mine", "penalty", lambda step: -step)
    with pytest.raises(ValueError, match="mine: penalty=-1 must be finite and at least 0; fix it"):
        check_strength("mine", "penalty", -1, "fix it")
