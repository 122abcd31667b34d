"""straight_through is exact; top_mask against a sort by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._numerics import root, straight_through
from compressjax.numerics._top import top_mask
from tests import helpers


@pytest.mark.parametrize("dtype", helpers.FLOATS)
def test_straight_through_is_exact(dtype: str) -> None:
    """`x + (y - x)` would round: 1 is lost beside 60000 in sixteen bits, and infinity would become NaN."""
    x = jnp.array([6e4, 1.0, jnp.inf, 3e-5, 0.1], dtype)
    y = jnp.array([1.0, 1 / 3, 2.0, -0.0, jnp.nan], dtype)
    for f in (straight_through, jax.jit(straight_through)):
        assert helpers.same_bits(f(x, y), y)


def test_straight_through_derivatives() -> None:
    x, y, t = (helpers.array(i, (5,)) for i in range(3))
    f = straight_through
    out, tangent = jax.jvp(f, (x, y), (t, 100 * t))
    assert helpers.same_bits(out, y)
    assert helpers.same_bits(tangent, t)
    _, pull = jax.vjp(f, x, y)
    to_x, to_y = pull(t)
    assert helpers.same_bits(to_x, t)
    np.testing.assert_array_equal(to_y, np.zeros(5))
    assert helpers.same_bits(jax.vmap(f)(x, y), y)
    second = jax.hessian(lambda x: (f(x, jnp.round(x)) ** 2).sum())(x)
    np.testing.assert_array_equal(second, 2 * np.eye(5))


@pytest.mark.turns(2)
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 4), (2, 3, 2)])
def test_top_mask_against_a_sort(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    keep = jax.jit(top_mask)
    for draw in (rng.normal(size=shape), rng.integers(-1, 2, shape), np.zeros(shape), rng.integers(0, 3, shape) * -0.0):
        scores = draw.astype(np.float32).ravel()
        order = sorted(range(scores.size), key=lambda i: (-scores[i], i))
        for count in range(scores.size + 1):
            expected = np.zeros(scores.size, bool)
            expected[order[:count]] = True
            got = keep(jnp.asarray(scores.reshape(shape)), count)
            np.testing.assert_array_equal(got, expected.reshape(shape))


def test_top_mask_takes_a_traced_count() -> None:
    scores = helpers.array(0, (4, 5))
    traces = []

    @jax.jit
    def keep(count: jax.Array) -> jax.Array:
        traces.append(count)
        return top_mask(scores, count)

    assert [int(keep(jnp.int32(n)).sum()) for n in (0, 1, 19, 20)] == [0, 1, 19, 20]
    assert len(traces) == 1


def test_top_mask_never_prefers_nan() -> None:
    scores = jnp.array([jnp.nan, -jnp.inf, 1.0, jnp.inf])
    assert top_mask(scores, 3).tolist() == [False, True, True, True]


def test_root_has_no_gradient_where_it_is_zero() -> None:
    value, slope = jax.value_and_grad(lambda x: root(x).sum())(jnp.array([4.0, 0.0, -1.0]))
    assert value == 2
    np.testing.assert_array_equal(slope, [0.25, 0, 0])
