"""Sum: numbered value paths, gradients of all terms, sizes."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, tensors
from tests import helpers


def _node() -> tensors.Sum:
    low = tensors.LowRank(helpers.array(0, (3, 1)), helpers.array(1, (1, 2)))
    sparse = tensors.Masked(helpers.array(2, (3, 2)), jnp.array([[True, False], [False, False], [True, True]]))
    return tensors.Sum((low, sparse))


def test_value_paths_number_the_terms() -> None:
    assert list(core.values({"w": _node()})) == ["w/terms/0/left", "w/terms/0/right", "w/terms/1"]


def test_sum_by_hand() -> None:
    node = _node()
    (low, sparse) = node.terms
    expected = np.asarray(low.left) @ np.asarray(low.right) + np.asarray(sparse.value) * np.asarray(sparse.mask)
    np.testing.assert_allclose(node.materialize(), expected, rtol=1e-6)
    assert node.size_bits() == 5 * 32 + 6 + 3 * 32


def test_every_term_has_the_whole_gradient() -> None:
    grad = jax.grad(lambda n: n.materialize().sum(), allow_int=True)(
        tensors.Sum((jnp.ones(2), jnp.ones(2), jnp.ones(2)))
    )
    for term in grad.terms:
        np.testing.assert_array_equal(term, np.ones(2))
