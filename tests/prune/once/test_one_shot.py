"""One-shot pruning: scores of whole trees, fixed masks, one decision from statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune, saliency
from compressjax.interpret import observe
from tests import helpers


@pytest.fixture
def params():
    return {
        "a": {"kernel": helpers.array(0, (8, 6)), "bias": helpers.array(1, (6,))},
        "b": {"kernel": helpers.array(2, (6, 4))},
    }


def forward(params, x):
    return jnp.tanh(x @ params["a"]["kernel"] + params["a"]["bias"][None]) @ params["b"]["kernel"]


def loss(params, batch):
    return jnp.mean((forward(params, batch[0]) - batch[1]) ** 2)


BATCH = (helpers.array(3, (5, 8)), helpers.array(4, (5, 4)))


@pytest.mark.thorough
def test_a_loss_sees_what_is_not_selected(params):
    compression = core.only("b/kernel", prune.one_shot(saliency.snip(loss, [BATCH]), 0.5))
    masks = compression.init(params).masks
    assert set(masks) == {"b/kernel"}
    g = jax.grad(loss)(params, BATCH)["b"]["kernel"]
    score = np.abs(np.asarray(g * params["b"]["kernel"])).ravel()
    np.testing.assert_array_equal(np.flatnonzero(masks["b/kernel"]), np.sort(np.argsort(-score)[:12]))


def test_global_ranking_and_training_on(params):
    compression = prune.one_shot(saliency.snip(loss, [BATCH]), 0.75, "global")
    tx = core.as_optax(compression, optax.adamw(0.1))
    state = tx.init(params)
    assert sum(int(m.sum()) for m in state.compression.masks.values()) == 18
    first = compression.view(params, state.compression)
    for _ in range(3):
        grads = jax.grad(lambda p, s: loss(compression.view(p, s), BATCH))(params, state.compression)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    after = compression.view(params, state.compression)
    for path, x in core.values(first).items():
        if path.endswith("kernel"):
            np.testing.assert_array_equal(x == 0, core.values(after)[path] == 0)
    assert not np.array_equal(first["a"]["kernel"], after["a"]["kernel"])


@pytest.mark.thorough
def test_statistics_decide_once(params):
    _, stats = observe(forward)(params, BATCH[0])
    compression = prune.one_shot(saliency.wanda(), 0.5, pattern="balanced")
    state = compression.init(params)
    assert not state.decided
    assert all(m.all() for m in state.masks.values())
    with pytest.raises(ValueError, match="run observe and pass stats="):
        compression.after_step(params, state)[1]
    state = compression.after_step(params, state, stats)[1]
    want = prune.patterns.pattern_mask(saliency.wanda().score(params, stats)["a/kernel"], 0.5, "balanced")
    np.testing.assert_array_equal(state.masks["a/kernel"], want)
    later = compression.after_step(jax.tree.map(lambda x: 1 / x, params), state, stats)[1]
    assert helpers.difference(state, later) == ""
    assert helpers.difference(state, compression.after_step(params, state)[1]) == ""


def test_terms_of_units_are_no_scores():
    with pytest.raises(ValueError, match="group_taylor scores units, not weights"):
        prune.one_shot(saliency.group_taylor({}), 0.5)


def test_what_a_saliency_does_not_score_is_named(params):
    with pytest.raises(ValueError, match="fpgm: .*bias': the saliency has no scores of it"):
        core.only(".*", prune.one_shot(saliency.fpgm(), 0.5, pattern="neuron")).init(params)


def test_values_inside_nodes(params):
    from compressjax import lowrank

    both = core.sequence(lowrank.svd(rank=2), prune.one_shot(saliency.magnitude(), 0.5))
    tree = both.encode(params, both.init(params))
    left = tree["a"]["kernel"].left
    assert int(left.mask.sum()) == 8


def test_bad_settings():
    for settings in ({"sparsity": 1.0}, {}, {"sparsity": 0.5, "pattern": "x"}, {"sparsity": 0.5, "distribution": "x"}):
        with pytest.raises(ValueError, match=r"sparsity|unknown"):
            prune.one_shot(saliency.magnitude(), **settings)


@pytest.mark.thorough
def test_magnitude_takes_patterns(params):
    tree = core.compress(params, {".*kernel": prune.magnitude(pattern="1:2")})
    mask = np.asarray(tree["a"]["kernel"].mask)
    assert (mask.reshape(4, 2, 6).sum(1) == 1).all()
    assert prune.magnitude(0.5, pattern="neuron").name == "magnitude(sparsity=0.5, pattern=neuron)"
    named, given = (
        prune.magnitude(0.5, "global", normalize=True, pattern=p) for p in ("neuron", prune.patterns.slices(-1))
    )
    masks = [method.init(core.values(params)).masks for method in (named, given)]
    assert helpers.difference(*masks) == ""
    with pytest.raises(ValueError, match="sparsity is missing"):
        prune.magnitude()
