"""Scores of units against sums over the entries that masking a unit changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import compressjax
from compressjax import interpret, structure
from compressjax.structure._saliency import named
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, linen


@pytest.fixture(scope="module")
def resnet():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    groups = [g for g in interpret.couplings(fn)(params, x) if not g.frozen]
    return fn, params, x, groups


def by_masking(params, group, unit, score):
    """The score of what differs between the weights and the weights without a unit."""
    rest = [u for u in range(group.units) if u != unit]
    gone = cutting.change(params, [group], {group.name: rest}, zero=True)
    return sum(score(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum()
               for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(gone)))  # fmt: skip


@pytest.mark.parametrize(("name", "score", "combine"), [("l1", np.abs, np.asarray), ("l2", np.square, np.sqrt)])
def test_norms(resnet, name, score, combine):
    _, params, _, groups = resnet
    scores = structure.score_units(groups, params, name)
    for group in groups:
        want = [combine(by_masking(params, group, unit, score)) for unit in range(group.units)]
        np.testing.assert_allclose(scores[group.name], want, rtol=1e-5)


def test_taylor_is_the_squared_directional_derivative(resnet):
    fn, params, x, groups = resnet

    def loss(params):
        return (fn(params, x) ** 2).mean()

    scores = structure.score_units(groups, params, structure.taylor(jax.jit(jax.grad(loss))(params)))
    slope_of = jax.jit(lambda params, direction: jax.jvp(loss, (params,), (direction,))[1])
    group = groups[0]
    for unit in range(group.units):
        rest = [u for u in range(group.units) if u != unit]
        direction = jax.tree.map(np.subtract, params, cutting.change(params, [group], {group.name: rest}, zero=True))
        slope = slope_of(params, direction)
        np.testing.assert_allclose(scores[group.name][unit], slope**2, rtol=1e-4)


def test_norm_scale_reads_only_scales(resnet):
    _, params, _, groups = resnet
    scores = structure.score_units(groups, params, "norm_scale")
    scale = params["params"]["Block_0"]["BatchNorm_0"]["scale"]
    np.testing.assert_allclose(scores["params/Block_0/Conv_0/kernel:3"], np.abs(scale), rtol=1e-6)


def test_a_saliency_of_weights_is_summed(resnet):
    _, params, _, groups = resnet
    ours = structure.score_units(groups, params, compressjax.saliency.magnitude())
    want = structure.score_units(groups, params, "l1")
    for group in groups:
        np.testing.assert_allclose(ours[group.name], want[group.name], rtol=1e-5)


def test_scores_may_be_given_as_arrays_or_as_a_function():
    p = {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 1))}
    groups = [g for g in interpret.couplings(lambda p, x: x @ p["a"] @ p["b"])(p, jnp.ones((1, 2))) if not g.frozen]
    given = {"a": jnp.arange(6.0).reshape(2, 3)}
    for saliency in (given, lambda params: given):
        assert structure.score_units(groups, p, saliency)["a:1"].tolist() == [3, 5, 7]


def test_bad_scores_are_refused(resnet):
    _, params, _, groups = resnet
    with pytest.raises(ValueError, match="'l3' is unknown"):
        named("l3")
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        structure.score_units(groups, params, {"params/Conv_0/bias": jnp.ones(2)})
    with pytest.raises(ValueError, match="has no scores"):
        structure.score_units(groups, params, structure.norm_scale("nothing"))
