"""Random subspaces: the projections are what they are called, and training in them reaches a target."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.tensors import Codebook
from compressjax.theory import subspace

PARAMS = {"a": jnp.zeros((5, 4)), "b": jnp.ones(3)}


def matrix(space, size):
    flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])  # noqa: E731
    start = flat(space.start)
    return np.stack([flat(space.expand(jnp.eye(size)[i])) - start for i in range(size)], 1)


def test_kronecker_is_a_product_of_orthonormal_factors_in_another_order():
    """Rows of `Q1 (x) Q2` that NumPy's `kron` makes, less the one that 23 weights do not need."""
    space = subspace(PARAMS, 6, jax.random.key(1))
    left, right = (np.asarray(x) for x in space.factors)
    for factor in (left, right):
        np.testing.assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-5)
    whole = np.kron(left, right)[:, :6]
    np.testing.assert_allclose(matrix(space, 6), whole[np.asarray(space.order)], atol=1e-6)
    assert len(set(np.asarray(space.order).tolist())) == 23


def test_dense_entries_have_the_variance_of_one_over_the_weights():
    big = subspace({"a": jnp.zeros(4000)}, 3, jax.random.key(0), projection="dense")
    np.testing.assert_allclose((np.asarray(big.factors[0]) ** 2).sum(0), 1, atol=0.1)


def test_scales_shapes_and_nodes():
    space = subspace(PARAMS, 4, jax.random.key(0), scales={"a": 2.0, "b": 0.0})
    plain = subspace(PARAMS, 4, jax.random.key(0))
    node = Codebook(jnp.array([-1.0, 0.5], jnp.float16), jnp.array([0, 1, 1, 0], jnp.uint8))
    found, other = space.expand(node), plain.expand(node.materialize())
    np.testing.assert_allclose(found["a"], 2 * other["a"], rtol=1e-6)
    np.testing.assert_array_equal(found["b"], PARAMS["b"])
    halved = plain.expand(node, lambda tree: jax.tree.map(lambda x: x / 2, tree))
    np.testing.assert_allclose(halved["a"], other["a"] / 2, rtol=1e-6)


def test_coordinates_of_a_planted_model_are_found():
    """Least squares by gradient descent in the subspace; NumPy solves the same problem."""
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    space = subspace({"w": jnp.zeros((5, 2))}, 4, jax.random.key(3))
    y = x @ np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    p = matrix(space, 4).reshape(5, 2, 4)
    exact = np.linalg.lstsq(np.einsum("ni,iod->nod", x, p).reshape(80, 4), y.ravel(), rcond=None)[0]
    grad = jax.jit(jax.grad(lambda v: jnp.square(x @ space.expand(v)["w"] - y).sum()))
    v = jnp.zeros(4)
    for _ in range(200):
        v = v - 0.005 * grad(v)
    np.testing.assert_allclose(v, exact, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dimension": 24}, "dimension=24 must be between 1 and the 23 weights"),
        ({"projection": "qr"}, "projection='qr' is unknown; choose one of kronecker, dense"),
        ({"params": {"a": jnp.zeros(3, jnp.int32)}}, "floating arrays"),
        ({"scales": {"a": 1.0}}, "a tree of numbers like params"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        subspace(**{"params": PARAMS, "dimension": 3, "key": jax.random.key(0), **change})
