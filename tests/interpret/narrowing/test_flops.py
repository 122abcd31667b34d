"""Predicted operations against XLA's own analysis of the narrowed function."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import interpret, measure
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, TOKENS, linen


@pytest.mark.thorough
@pytest.mark.parametrize(
    "case",
    [
        lambda: linen(cutting.ResNet(), IMAGES),
        lambda: linen(cutting.Separable(), IMAGES),
        lambda: linen(cutting.Bert(), TOKENS),
        lambda: (cutting.llama_apply, cutting.llama(16, size=8, hidden=40), TOKENS),
    ],
    ids=["resnet", "separable", "bert", "llama"],
)
def test_within_a_tenth_of_xla(case):
    """`test_shrink` holds halves of the same against XLA."""
    fn, params, *args = case()
    groups = interpret.couplings(fn)(params, *args)
    for kept in ({}, cutting.half(groups)):
        small = cutting.change(params, groups, kept, zero=False)
        run = interpret.narrow(fn, params, kept)
        expected = measure.flops(run, small, *args)
        predicted = interpret.predict_flops(fn, params, kept, loops=False)(*args)
        assert abs(predicted / expected - 1) < 0.1


@pytest.mark.parametrize(
    ("stride", "padding", "grow", "spread"), [(1, "SAME", 1, 1), (2, "VALID", 1, 2), (1, "SAME", 2, 1)]
)
def test_convolutions_count_what_xla_counts(stride, padding, grow, spread):
    def fn(kernel, x):
        return jax.lax.conv_general_dilated(
            x, kernel, (stride,) * 2, padding if grow == 1 else [(2, 1)] * 2, (grow,) * 2, (spread,) * 2,
            ("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    kernel, x = jnp.ones((3, 3, 2, 5)), jnp.ones((2, 7, 7, 2))
    assert interpret.predict_flops(fn, kernel)(x) == measure.flops(fn, kernel, x)


def test_loops_count_every_turn():
    def fn(p, x):
        return jax.lax.scan(lambda h, _: (h @ p, None), x, length=5)[0]

    p, x = jnp.ones((3, 3)), jnp.ones((2, 3))
    assert interpret.predict_flops(fn, p)(x) == 5 * interpret.predict_flops(fn, p, loops=False)(x) == 5 * 36


def test_branches_count_the_larger():
    def fn(p, x):
        return jax.lax.cond(x.sum() > 0, lambda h: h @ p, lambda h: h + 1.0, x)

    x = jnp.ones((2, 3))
    assert interpret.predict_flops(fn, jnp.ones((3, 3)))(x) == 36 + 6 + 2  # the comparison, and its change of type


def test_rows_of_experts_count_one_expert_each():
    """XLA's analysis on a CPU counts every row for every expert, because it masks them."""

    def fn(p, x):
        return jax.lax.ragged_dot(x, p, jnp.array([2, 3, 0]))

    p, x = jnp.ones((3, 4, 6)), jnp.ones((5, 4))
    assert interpret.predict_flops(fn, p)(x) == 2 * 5 * 4 * 6
    assert interpret.predict_flops(fn, p, {})(x) < measure.flops(fn, p, x)
