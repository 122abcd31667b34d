"""The steps of a compression are those of its optimizer, whatever wrapper skips some calls."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from compressjax import core, prune
from compressjax.core._steps import accumulator, stepped

ONES = {"kernel": jnp.ones((2, 2))}


def train(optimizer: Any, gradients: list[float], c: core.Compression | None = None) -> tuple[Any, Any]:
    tx = core.as_optax(c or prune.proximal_l1(0.1), optimizer)
    params, state = ONES, tx.init(ONES)
    for g in gradients:
        updates, state = tx.update({"kernel": jnp.full((2, 2), g)}, state, params)
        params = optax.apply_updates(params, updates)
    return params["kernel"], state


@pytest.mark.turns(2)
@pytest.mark.parametrize("hidden", [False, True])
def test_micro_steps_are_no_steps(hidden: bool) -> None:
    """Zero gradients tell nothing: only the state of the optimizer says that two of eight calls were steps."""
    multi = optax.MultiSteps(optax.sgd(0.1), 4)
    kernel, state = train(multi.gradient_transformation() if hidden else multi, [0.0] * 8)
    np.testing.assert_allclose(kernel, 0.8, rtol=1e-6)
    assert state.compression.count == state.inner.gradient_step == 2
    assert accumulator(multi.gradient_transformation()) is multi
    # Inside another transformation, a method that only counts steps is held back by the state that it finds there.
    chained = optax.chain(optax.clip(1.0), multi.gradient_transformation())
    _, state = train(chained, [0.0] * 8, prune.gradual(0.5, end=9, every=1))
    assert state.compression.count == 2


def test_a_rejected_gradient_is_no_step() -> None:
    guarded = optax.chain(optax.apply_if_finite(optax.sgd(0.1, momentum=0.9), 3))
    kernel, state = train(guarded, [0.0, np.nan, 0.0, np.inf])
    np.testing.assert_allclose(kernel, 0.8, rtol=1e-6)
    assert state.compression.count == 2
    # After three in a row, the wrapper gives up, and the bad gradient is a step.
    _, state = train(guarded, [np.nan] * 4)
    assert state.compression.count == 1


def test_lookahead_trains_the_fast_weights() -> None:
    c = prune.gradual(0.5, end=1, every=1)
    tx = core.as_optax(c, optax.lookahead(optax.sgd(0.1, momentum=0.9), 2, 0.5))
    params = optax.LookaheadParams.init_synced({"kernel": jnp.arange(4.0).reshape(2, 2)})
    state = tx.init(params)
    for _ in range(4):
        updates, state = tx.update(jax.tree.map(jnp.ones_like, params.fast), state, params)
        params = optax.apply_updates(params, updates)
    mask = state.compression.masks["kernel"]
    assert mask.tolist() == [[False, False], [True, True]]
    assert state.compression.count == 4
    kept, slow = (np.asarray(x["kernel"])[1] for x in params)
    np.testing.assert_allclose(kept, slow, rtol=1e-6)  # synchronized
    assert (slow < [2.0, 3.0]).all()
    # Masked weights stay where the first step, before the mask, left them.
    np.testing.assert_allclose(params.fast["kernel"][0], [-0.1, 0.9], rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (optax.chain(optax.sgd(0.1), optax.apply_every(2)), "apply_every does not say"),
        (optax.transforms.conditionally_mask(optax.sgd(0.1), lambda i: i % 2 == 0), "conditionally_mask"),
        (optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1)), "opaque_mode=True"),
        (optax.chain(optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()), "hides it"),
    ],
)
def test_what_cannot_be_told_is_refused(optimizer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        core.as_optax(prune.proximal_l1(0.1), optimizer).init(ONES)


def test_slopes_are_not_accumulated() -> None:
    tx = core.as_optax(core.identity(), optax.MultiSteps(optax.sgd(0.1), 2))
    with pytest.raises(ValueError, match="does not accumulate slopes"):
        tx.update(ONES, tx.init(ONES), ONES, slopes=())


def test_an_optimizer_without_wrappers_always_steps() -> None:
    state = optax.adam(0.1).init(ONES)
    assert stepped(state, state, ONES) is None
