"""A shift and a scale."""

import jax
import jax.numpy as jnp

from compressjax import data


def test_it_is_a_tree_of_arrays_that_jits():
    fitted = data.Scaling(jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0]))
    x = jnp.array([[3.0, 10.0]])
    z = jax.jit(lambda f, x: f.transform(x))(fitted, x)
    assert z.tolist() == [[1.0, 2.0]]
    assert fitted.inverse_transform(z).tolist() == x.tolist()
    assert fitted.affine().offset.tolist() == [-0.5, -0.5]
