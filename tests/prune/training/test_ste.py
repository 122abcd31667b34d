"""STE and SR-STE against the paper's step in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (8, 6)), "bias": helpers.array(1, (6,))}}
TARGET = helpers.array(2, (8, 6))


def two_of_four(x):
    """Mask of the two largest magnitudes of every four along the input axis."""
    out = np.zeros(x.shape, bool)
    for column in range(x.shape[1]):
        for start in range(0, x.shape[0], 4):
            order = np.argsort(-np.abs(x[start : start + 4, column]), kind="stable")
            out[start + order[:2], column] = True
    return out


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_training_is_the_papers_recursion(decay):
    method = prune.sr_ste(pattern="2:4", decay=decay) if decay else prune.ste(pattern="2:4")
    tx = core.as_optax(method, optax.sgd(0.1))

    @jax.jit
    def step(params, state):
        def loss(p):
            return jnp.sum(jnp.square(method.view(p, state.compression)["a"]["kernel"] - TARGET))

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, tx.init(PARAMS)
    weight = np.asarray(PARAMS["a"]["kernel"], np.float64)
    for _ in range(6):
        mask = two_of_four(weight)
        np.testing.assert_array_equal(state.compression.masks["a/kernel"], mask)
        weight = weight - 0.1 * (2 * (mask * weight - TARGET) + decay * ~mask * weight)
        params, state = step(params, state)
        np.testing.assert_allclose(params["a"]["kernel"], weight, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(two_of_four(weight), two_of_four(np.asarray(PARAMS["a"]["kernel"])))


def test_counts_of_patterns_and_distributions():
    params = {"a": helpers.array(0, (12, 10)), "b": helpers.array(1, (3, 3, 8, 6))}
    for pattern, share in (("1:4", 0.25), ("2:4", 0.5)):
        state = prune.ste(pattern=pattern).init(params)
        for mask in state.masks.values():
            groups = np.asarray(mask).reshape(-1, mask.shape[-2] // 4, 4, mask.shape[-1]).sum(axis=2)
            assert (groups == 4 * share).all()
    counts = {p: int(m.sum()) for p, m in prune.ste(0.9, distribution="global").init(params).masks.items()}
    assert sum(counts.values()) == 55


def test_masks_at_intervals_and_to_an_end():
    method = prune.ste(0.5, every=2, end=4)
    state, masks = method.init(PARAMS), []
    for i in range(7):
        state = method.after_step({"a": {"kernel": helpers.array(10 + i, (8, 6))}}, state)[1]
        masks.append(np.asarray(state.masks["a/kernel"]))
    same = [np.array_equal(a, b) for a, b in zip(masks, masks[1:])]
    assert same == [False, True, False, True, True, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (prune.ste, "ste: sparsity is missing"),
        (lambda: prune.ste(1.0), "sparsity=1.0"),
        (lambda: prune.ste(0.5, every=0), "every=0"),
        (lambda: prune.ste(0.5, distribution="layer"), "unknown distribution"),
        (lambda: prune.sr_ste(decay=-1.0), "decay=-1.0 must be finite"),
        (lambda: prune.ste(0.75, pattern="2:4"), "leaves 0.5 of every leaf"),
        (lambda: prune.ste(pattern="3:5").init(PARAMS), "5"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
