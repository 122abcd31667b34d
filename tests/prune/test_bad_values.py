"""Diverged weights, losses of NaN and empty statistics are refused by name, whatever the method."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank, prune, quant, saliency, share
from compressjax.interpret import observe

BAD = {"a": {"kernel": jnp.ones((4, 4)).at[1, 2].set(jnp.nan)}, "b": {"kernel": jnp.ones((4, 4))}}
METHODS: dict[str, Callable[[], core.Compression]] = {
    "magnitude": lambda: prune.magnitude(0.5),
    "global": lambda: prune.magnitude(0.5, "global"),
    "neuron": lambda: prune.magnitude(0.5, pattern="neuron"),
    "2:4": lambda: prune.magnitude(pattern="2:4"),
    "svd": lambda: lowrank.svd(rank=1),
    "kmeans": lambda: share.kmeans(2),
    "rtn": lambda: quant.rtn(4),
    "fake_quant": lambda: quant.fake_quant(4, clip="mse"),
    "lamp": lambda: prune.one_shot(saliency.lamp(), 0.5, "global"),
    "fpgm": lambda: prune.one_shot(saliency.fpgm(), 0.5, pattern="neuron"),
}


@pytest.mark.parametrize("name", METHODS)
def test_weights_that_diverged(name: str) -> None:
    with pytest.raises(ValueError, match=r"a/kernel'.* (has 1 non-finite weights of 16|NaN)"):
        core.compress(BAD, {".*": METHODS[name]()})


def test_weights_that_diverge_after_init() -> None:
    """Masks of the finite weights must not clean the later ones."""
    c = prune.static(masks={"a/kernel": ~jnp.isnan(BAD["a"]["kernel"])})
    state = c.init({"a": BAD["b"], "b": BAD["b"]})
    with pytest.raises(ValueError, match=r"static.*'a/kernel' has 1 non-finite weights"):
        c.encode(BAD, state)


def test_a_leaf_that_stays_dense_is_nobodys_business() -> None:
    assert bool(jnp.isnan(core.compress(BAD, {"b/kernel": prune.magnitude(0.5)})["a"]["kernel"]).any())


@pytest.mark.parametrize("make", [saliency.snip, saliency.taylor])
def test_a_loss_of_nan(make: Any) -> None:
    good = {"kernel": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match="'kernel'.*NaN.*fix the weights or the loss"):
        prune.one_shot(make(lambda p, x: jnp.log(-x) * p["kernel"].sum(), [1.0]), 0.5).init(good)


@pytest.mark.parametrize("rows", [np.full((3, 2), np.nan), np.zeros((0, 2))], ids=["NaN", "none"])
@pytest.mark.parametrize("make", [quant.rtn, quant.fake_quant])
def test_ranges_of_nothing(rows: np.ndarray, make: Any) -> None:
    kernel = {"kernel": jnp.ones((2, 2))}

    def calibrated() -> Any:
        _, stats = observe(lambda p, x: x @ p["kernel"])(kernel, jnp.asarray(rows, jnp.float32))
        return core.compress(kernel, {".*": make(8, activation="static")}, stats)

    with pytest.raises(ValueError, match="'kernel'"):
        calibrated()


def test_sensitivities_of_nan() -> None:
    with pytest.raises(ValueError, match=r"\['b'\] are NaN"):
        prune.distributions.by_sensitivity((0.0, 0.5), {"a": (1, 2), "b": (1, np.nan)}, {"a": 1, "b": 1}, 0.25)
