"""Laws that methods and nodes keep, also for your own: each raises `Broken` with the problem.

Example:
    >>> import jax.numpy as jnp
    >>> from compressjax import tensors
    >>> check_node(tensors.Masked(jnp.ones((4, 6)), jnp.eye(4, 6, dtype=bool)))[:2]
    ('shape', 'lifted')
"""

from compressjax.testing._compare import Broken
from compressjax.testing._method import Example, Method, Run
from compressjax.testing._methods import assert_composition, check_method
from compressjax.testing._nodes import check_node

__all__ = ["Broken", "Example", "Method", "Run", "assert_composition", "check_method", "check_node"]
