"""Every argument that takes a sparsity refuses None and values outside [0, 1), with its name and value."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import prune, saliency

KEY, BATCHES = jax.random.key(0), [jnp.ones((2, 2))]
CURVES = {"sparsities": (0.0, 0.5), "losses": {"a": (1.0, 2.0)}, "sizes": {"a": 4}}


def no_loss(params, batch):
    """Never called: the sparsity is read first."""
    raise AssertionError(params, batch)


# From a sparsity to the call that must refuse it.
CALLS = {
    "acdc": lambda s: prune.acdc(s, begin=0, every=1, end=1),
    "at_once": prune.schedules.at_once,
    "by_sensitivity": lambda s: prune.distributions.by_sensitivity(sparsity=s, **CURVES),
    "cubic": lambda s: prune.schedules.cubic(s, end=1),
    "densities, erk": lambda s: prune.distributions.densities({"a": (2, 2)}, s, "erk"),
    "densities, patterns": lambda s: prune.distributions.densities({"a": (2, 2)}, 0.5, {"a": s}),
    "exponential": lambda s: prune.schedules.exponential(s, end=1),
    "gradual": lambda s: prune.gradual(s, end=1),
    "gradual, initial": lambda s: prune.schedules.cubic(0.5, end=1, initial=s),
    "iterative": lambda s: prune.schedules.iterative(s, rounds=2, end=4),
    "linear": lambda s: prune.schedules.linear(s, end=1),
    "lottery_ticket": lambda s: prune.lottery_ticket(no_loss, {"kernel": jnp.ones((2, 2))}, sparsities=[s]),
    "magnitude": prune.magnitude,
    "magnitude, neurons": lambda s: prune.magnitude(s, pattern="neuron"),
    "movement": lambda s: prune.movement(s, end=1),
    "one_shot": lambda s: prune.one_shot(saliency.magnitude(), s),
    "periodic": lambda s: prune.schedules.periodic(s, periods=1, end=4),
    "rigl": lambda s: prune.rigl(s, KEY, end=1),
    "set_": lambda s: prune.set_(s, KEY, end=1),
    "sparsegpt": prune.sparsegpt,
    "sparsegpt, patterns": lambda s: prune.sparsegpt(0.5, distribution={".*": s}),
    "sr_ste": lambda s: prune.sr_ste(s, pattern="unstructured"),
    "static": lambda s: prune.static(s, KEY),
    "ste": prune.ste,
    "synflow": lambda s: saliency.synflow(no_loss, jnp.ones((1, 2)), s),
    "topkast": lambda s: prune.topkast(s, 0.0),
    "topkast, backward": lambda s: prune.topkast(0.5, s),
    "wanda": prune.wanda,
    "woodfisher": lambda s: prune.woodfisher(no_loss, BATCHES, s),
}


@pytest.mark.parametrize("sparsity", [1.0, 1.5, -0.25, float("nan"), float("inf")])
@pytest.mark.parametrize("name", CALLS)
def test_is_refused(name, sparsity):
    with pytest.raises(ValueError, match=rf"={sparsity} .*\[0, 1\)"):
        CALLS[name](sparsity)


@pytest.mark.parametrize("name", CALLS)
def test_none_at_all_is_a_sparsity(name):
    assert CALLS[name](0.0)
