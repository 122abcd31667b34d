"""What is not an ordinary leaf: diverged weights and losses are refused; empty, scalar and 8-bit leaves do no harm."""

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


@pytest.mark.turns(3)
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


def _quietly(c: core.Compression, odd: Any) -> Any:
    """A tree with one ordinary and one odd leaf after `init`, in the view and when stored."""
    params = {"odd": odd, "plain": jnp.arange(24.0).reshape(4, 6) - 11}
    c = core.only(".*", c)
    state = c.init(params)
    view, stored = c.view(params, state), core.materialize(c.encode(params, state))
    assert {name: (x.shape, x.dtype) for name, x in stored.items()} == {
        name: (x.shape, x.dtype) for name, x in params.items()
    }
    np.testing.assert_array_equal(*(np.asarray(tree["plain"]) for tree in (view, stored)))
    return stored


@pytest.mark.turns(3)
@pytest.mark.parametrize("odd", [jnp.zeros((0, 4)), jnp.float32(1.5)], ids=["empty", "scalar"])
@pytest.mark.parametrize(
    "make",
    [
        lambda key: prune.static(0.5, key),
        lambda key: prune.rigl(0.5, key, end=9),
        lambda key: prune.magnitude(0.5, "erk"),
        lambda key: prune.l0(0.1, key, end=0),
        lambda key: prune.proximal_nuclear(0.1),
    ],
)
def test_leaves_without_entries_or_axes(make: Any, odd: Any, key: Any) -> None:
    """Of an `erk` budget they take nothing: the ordinary leaf pays for its own zeros."""
    stored = _quietly(make(key), odd)
    assert bool((stored["odd"] == odd).all()) or odd.size


def test_erk_leaves_scalars_dense() -> None:
    dense = prune.distributions.densities({"a": (), "b": (0, 3), "c": (10, 10), "d": (20, 10)}, 0.5, "erk")
    assert dense["a"] == dense["b"] == 1.0
    assert 100 * dense["c"] + 200 * dense["d"] + 1 == pytest.approx(0.5 * 301)


def _miss(params: Any, x: Any) -> Any:
    return sum((jnp.mean(w.astype(jnp.float32)) - jnp.sum(x)) ** 2 for w in params.values())


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    "make",
    [
        lambda: prune.one_shot(saliency.lamp(), 0.5, "global"),
        lambda: prune.one_shot(saliency.fpgm(), 0.5, pattern="neuron"),
        lambda: prune.one_shot(saliency.snip(_miss, [jnp.ones((2, 1))]), 0.5),
        lambda: prune.magnitude(pattern="1:2"),
        lambda: prune.woodfisher(_miss, [jnp.ones((2, 1))], 0.5),
    ],
    ids=["lamp", "fpgm", "snip", "1:2", "woodfisher"],
)  # fmt: skip
def test_floats_of_eight_bits(make: Any) -> None:
    eight = (jnp.arange(24.0).reshape(4, 6) - 11).astype(jnp.float8_e4m3fn)
    assert int((_quietly(make(), eight)["odd"].astype(jnp.float32) == 0).sum()) >= 6
