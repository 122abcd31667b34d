"""Integer products of experts are exact sums, in int8, and are refused where scales change along a sum."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.core import Dense, Ragged
from compressjax.tensors.quantized._ragged import integer_ragged
from tests.interpret import samples


@pytest.mark.parametrize("affine", [False, True])
def test_sums_are_exact_integers(affine: bool) -> None:
    """Rows whose largest entry is 127 are their own codes; the last row belongs to no expert."""
    draw = samples.rng()
    x = draw.integers(-126, 127, (4, 6))
    x[:, 0] = 127
    node = samples.grid(draw, (2, 6, 3), (2, 1, 3), affine=affine, activation="dynamic")
    node = node.replace(scale=jnp.exp2(-jnp.arange(6.0)).reshape(2, 1, 3))
    zero = 0 if node.zero_point is None else np.asarray(node.zero_point)
    weights = (np.asarray(node.codes).astype(int) - zero) * 2.0 ** -np.arange(6).reshape(2, 1, 3)
    asked = np.stack([x[0] @ weights[0], x[1] @ weights[1], x[2] @ weights[1], np.zeros(3)])
    got = integer_ragged(jnp.asarray(x, jnp.float32), node, Ragged(jnp.array([1, 2])))
    np.testing.assert_array_equal(got, asked)


def test_groups_along_the_sum_are_refused() -> None:
    node = samples.grid(samples.rng(), (2, 6, 3), (2, 2, 3), activation="dynamic")
    found = integer_ragged(jnp.ones((4, 6)), node, Ragged(jnp.array([1, 2])))
    assert isinstance(found, Dense)
    assert "summed axis" in found.reason
