"""What rounding explains, and what it does not."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.structure._agreement import Agreement, difference


def test_differences_are_relative_to_large_results():
    assert difference({"a": jnp.array([1000.0, 0.0])}, {"a": jnp.array([1000.0, 1.0])}) == pytest.approx(1e-3)
    assert difference(jnp.array([0.1]), jnp.array([0.2])) == pytest.approx(0.1)
    assert difference(jnp.ones(2), jnp.ones(3)) == difference(jnp.ones(2), jnp.array([1.0, jnp.nan])) == np.inf


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("float32", 1e-5, 1.2e-5), ("bfloat16", 0.06, 0.07), ("float16", 0.007, 0.008)]
)
def test_floors_follow_the_dtype(dtype, least, most):
    found = Agreement(jnp.ones(2, dtype), lambda params: jnp.ones(2, dtype), {}, None)
    assert least <= found.floor <= most
    assert found.allows(found.floor)
    assert not found.allows(2 * found.floor)  # these results do not depend on the weights


@pytest.mark.parametrize("depth", [1, 8, 64])
def test_the_allowed_error_grows_with_depth(depth):
    """`w x` chained `depth` times in the logarithm: every layer adds its rounding."""
    w = jnp.full(depth, 1.5)
    found = Agreement(jnp.sum(jnp.log(w)) * 1e3, lambda w: jnp.sum(jnp.abs(jnp.log(w) - jnp.log(1.5))) * 1e9, w, None)
    assert found.noise > 0
    assert found.allows(found.floor)


def test_reasons_name_the_size_of_rounding():
    exact = Agreement(jnp.float32(1.0), lambda w: w, jnp.float32(1.0), None)
    assert exact.noise == pytest.approx(2**-23)
    assert "this is no rounding" in exact.why(0.5)
    assert "not finite" in exact.why(np.inf)
    shaky = Agreement(jnp.float32(1.0), lambda w: 1.0 + (w - 1.0) * 1e4, jnp.float32(1.0), None)
    assert shaky.allows(0.02)
    assert not shaky.allows(0.06)
    assert "ill-conditioned" in shaky.why(0.06)
    assert not Agreement(jnp.float32(1.0), lambda w: 1.0 + (w - 1.0) * 1e4, jnp.float32(1.0), 1e-5).allows(0.02)
