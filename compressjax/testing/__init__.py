"""Laws that methods and nodes keep, also for your own: each raises `Broken` with the problem.

Example:
    >>> import jax.numpy as jnp
    >>> from compressjax import tensors
    >>> assert_node_shape(tensors.Masked(jnp.ones((4, 6)), jnp.eye(4, 6, dtype=bool)))
"""

from compressjax.testing._compare import Broken, difference
from compressjax.testing._lifting import assert_lifted, assert_sharded
from compressjax.testing._method import Example, Method, Run
from compressjax.testing._methods import (
    assert_composition,
    assert_projection,
    assert_selection,
    assert_shape,
    assert_stability,
    assert_view,
    assert_zero_limit,
    check_method,
)
from compressjax.testing._nodes import assert_decoded, assert_lossless, assert_node_shape, assert_size, check_node

__all__ = [
    "Broken", "Example", "Method", "Run", "assert_composition", "assert_decoded", "assert_lifted", "assert_lossless",
    "assert_node_shape", "assert_projection", "assert_selection", "assert_shape", "assert_sharded", "assert_size",
    "assert_stability", "assert_view", "assert_zero_limit", "check_method", "check_node", "difference",
]  # fmt: skip
