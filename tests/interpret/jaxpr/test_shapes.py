"""Trees of shapes."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.jaxpr._shapes import shapes


def test_arrays_of_any_kind_become_their_shapes():
    tree = {"jax": jnp.zeros((2, 3), jnp.int8), "numpy": np.zeros(4, np.float32), "text": "kept", "number": 3}
    tree["shape"] = jax.ShapeDtypeStruct((5,), jnp.bfloat16)
    assert shapes(tree) == {
        "jax": jax.ShapeDtypeStruct((2, 3), jnp.int8), "numpy": jax.ShapeDtypeStruct((4,), jnp.float32),
        "text": "kept", "number": 3, "shape": jax.ShapeDtypeStruct((5,), jnp.bfloat16),
    }  # fmt: skip
