"""Which leaves are biases and running statistics, and the moments of what meets them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.structure._moments import BIAS, MEAN, VARIANCE, Moments, moments_of, together
from tests.interpret import cutting

X = jnp.asarray(np.random.default_rng(0).normal(size=(7, 2, 4)) + 3, jnp.float32)
V = jnp.arange(1.0, 5.0)


def norm(p, x):
    return (x - p["m"][None, None]) * jax.lax.rsqrt(p["v"] + 1e-3)[None, None] * p["s"][None, None] + p["b"][None, None]


def twice(p, x):
    return (x + p["b"]) * 2 + p["b"]


@pytest.mark.parametrize(
    ("fn", "sites"),
    [
        (norm, {("m", MEAN), ("v", VARIANCE), ("b", BIAS)}),
        (lambda p, x: (x - p["m"]) / jnp.sqrt(p["v"] + 1e-3) + p["b"], {("m", MEAN), ("v", VARIANCE), ("b", BIAS)}),
        (lambda p, x: x * (jax.lax.rsqrt(p["v"]) * p["s"]), {("v", VARIANCE)}),
        (lambda p, x: jax.jit(lambda b: x + b)(p["b"]), {("b", BIAS)}),
        (lambda p, x: x.reshape(7, 2, 2, 2) + p["b"].reshape(2, 2), set()),  # its axes split
        (lambda p, x: x.reshape(7, 8) + jnp.broadcast_to(p["b"], (2, 4)).reshape(8), set()),  # and merge with copies
        (lambda p, x: x + p["b"].reshape(1, 4, 1)[:, :, 0][None].transpose(1, 0, 2), {("b", BIAS)}),
        (lambda p, x: x * p["s"] + (p["b"] + p["m"]), set()),
        (lambda p, x: x + p["b"][:1], set()),
        (twice, {("b", BIAS)}),
        (lambda p, x: x + 1.0 + jnp.cumsum(p["b"]), set()),
        (lambda p, x: jax.lax.cond(x[0, 0, 0] > 0, lambda: x + p["b"], lambda: x), set()),
    ],
)
def test_leaves_are_found_by_what_is_done_with_them(fn, sites):
    with jax.numpy_rank_promotion("allow"):
        found = moments_of(fn)({"m": V, "v": V, "s": V, "b": V}, X)
    assert set(found) == sites
    for (_, role), moments in found.items():
        assert float(moments.count) == 14
        assert float(moments.uses) == 1 + (len(found) == 1 and fn is twice)
        if role == MEAN:
            np.testing.assert_allclose(moments.mean, np.asarray(X).mean((0, 1)), rtol=1e-5)
            np.testing.assert_allclose(moments.variance, np.asarray(X).var((0, 1)), rtol=1e-4)


def test_axes_in_front():
    """A bias of channels that are not last."""
    found = moments_of(lambda p, x: jnp.moveaxis(x, -1, 1) + p[None, :, None])(V, X)
    np.testing.assert_allclose(found["", BIAS].mean, np.asarray(X).mean((0, 1)), rtol=1e-5)


def test_a_leaf_with_axes_of_length_one_keeps_its_shape():
    found = moments_of(lambda p, x: x + p.reshape(4)[None, None])(V[None, :, None], X)
    assert found["", BIAS].mean.shape == (1, 4, 1)
    np.testing.assert_allclose(found["", BIAS].mean.ravel(), np.asarray(X).mean((0, 1)), rtol=1e-5)


def test_moments_of_parts_are_those_of_the_whole():
    rows = np.random.default_rng(0).normal(size=(9, 3)) + 5
    parts = [Moments(np.float64(len(r)), r.mean(0), ((r - r.mean(0)) ** 2).sum(0)) for r in (rows[:2], rows[2:])]
    found = together(Moments(*(np.stack(xs) for xs in zip(*parts, strict=True))))
    np.testing.assert_allclose(found.mean, rows.mean(0))
    np.testing.assert_allclose(found.variance, rows.var(0))


def test_batch_norms_of_a_linen_network():
    """Every norm has a mean, a variance and a bias; scales are none of these."""
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    variables = jax.eval_shape(cutting.ResNet().init, jax.random.key(0), x)
    found = jax.eval_shape(moments_of(cutting.ResNet().apply), variables, x)
    norms = [path.removeprefix("batch_stats/").removesuffix("/mean") for path, role in found if role == MEAN]
    assert len(norms) == 5
    for norm in norms:
        assert (f"batch_stats/{norm}/var", VARIANCE) in found
        assert (f"params/{norm}/bias", BIAS) in found
    assert len(found) == 18  # and the biases of two convolutions and of the head
