"""Scores of units against sums over the entries that masking a unit changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, saliency
from compressjax.structure._saliency import named, score_units
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, linen


@pytest.fixture(scope="module")
def resnet():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    return params, [g for g in interpret.couplings(fn)(params, x) if not g.frozen]


def by_masking(params, group, unit, score):
    """The score of what differs between the weights and the weights without a unit."""
    rest = [u for u in range(group.units) if u != unit]
    gone = cutting.change(params, [group], {group.name: rest}, zero=True)
    return sum(score(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum()
               for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(gone)))  # fmt: skip


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("name", "score", "combine"),
    [("l1", np.abs, np.asarray), ("l2", np.square, np.sqrt), (saliency.magnitude(), np.abs, np.asarray)],
)
def test_norms(resnet, name, score, combine):
    params, groups = resnet
    scores = score_units(groups, params, named(name))
    for group in groups:
        want = [combine(by_masking(params, group, unit, score)) for unit in range(group.units)]
        np.testing.assert_allclose(scores[group.name], want, rtol=1e-5)


def test_norm_scale_reads_only_scales(resnet):
    params, groups = resnet
    scores = score_units(groups, params, named("norm_scale"))
    scale = params["params"]["Block_0"]["BatchNorm_0"]["scale"]
    np.testing.assert_allclose(scores["params/Block_0/Conv_0/kernel:3"], np.abs(scale), rtol=1e-6)
    assert named("norm_scale").comparable


def test_bad_scores_are_refused(resnet):
    params, groups = resnet
    with pytest.raises(ValueError, match="'l3' is unknown"):
        named("l3")
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        score_units(groups, params, named({"params/Conv_0/bias": jnp.ones(2)}))
    with pytest.raises(ValueError, match="shrink: 'params/Block_0/BatchNorm_0/scale' has 6 non-finite scores of 6"):
        score_units(groups, params, named({"params/Block_0/BatchNorm_0/scale": jnp.full(6, jnp.nan)}))
    only = {"params/Block_0/BatchNorm_0/scale": jnp.ones(6)}
    with pytest.raises(ValueError, match="has no scores"):
        score_units(groups, params, named(only))
