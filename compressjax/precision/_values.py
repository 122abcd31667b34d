"""Values and settings during evaluation under a policy."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.precision._formats import FLOATS
from compressjax.precision._policy import Policy
from compressjax.precision._products import Product
from compressjax.precision._scaling import Scaling


class Value(NamedTuple):
    """A value during evaluation.

    Attributes:
        array: The array, in its present type.
        soft: Whether it takes the type of what it meets: arguments, constants, and what is made of them entry by entry.
            Its gradient is then summed in its own, wide type.
        constant: Whether it comes from numbers in the code alone; those end at the largest number of a narrow type.
    """

    array: Any
    soft: bool = False
    constant: bool = False


class Run:
    """One evaluation: the policy, the rule for products, and the states of delayed scaling by site."""

    def __init__(
        self,
        policy: Policy,
        product: Product,
        states: Mapping[str, Scaling] | None = None,
        prefix: str = "",
        found: dict[str, tuple[int, ...]] | None = None,
        lead: tuple[int, ...] = (),
    ) -> None:
        self.policy, self.product = policy, product
        self.states, self.prefix, self.found, self.lead = states or {}, prefix, found, lead
        self._count = 0

    def name(self, what: str) -> str:
        """The name of the next product or loop, in the order of the trace."""
        self._count += 1
        return f"{self.prefix}{self._count - 1:03d}.{what}"

    def state(self, site: str) -> Scaling | None:
        """The state of a product, if it has one; notes the product where states are made."""
        if self.found is not None:
            self.found[site] = self.lead
        return self.states.get(site)

    def apart(self) -> "Run":
        """For bodies whose gradients are no new states (branches, open loops): products scale by themselves."""
        return Run(self.policy, self.product)

    def inside(self, prefix: str, length: int, states: Mapping[str, Scaling] | None) -> "Run":
        """For the body of a loop of known length, in which every iteration has states of its own."""
        return Run(self.policy, self.product, states, prefix, self.found, (*self.lead, length))


def in_float32(atom: Any) -> bool:
    """Whether a variable was float32 in the trace, so that the policy says its type."""
    return getattr(atom.aval, "dtype", None) == jnp.float32


def as_traced(x: Value, atom: Any) -> Any:
    """The array in the type of the trace."""
    return as_type(x, jnp.dtype(jnp.float32)) if in_float32(atom) else x.array


def type_of(x: Value) -> Any:
    """The present type of a floating value; numbers in the code are float32."""
    return getattr(x.array, "dtype", jnp.dtype(jnp.float32))


def as_type(x: Value, dtype: Any) -> Any:
    """The array in a type; constants of the code stay finite, such as the fill value of a mask."""
    if not x.constant:
        return x.array.astype(dtype)
    largest = FLOATS[dtype.name].largest
    if isinstance(x.array, jax.Array):
        return jnp.where(jnp.isinf(x.array), x.array, jnp.clip(x.array, -largest, largest)).astype(dtype)
    array = np.asarray(x.array, np.float32)
    return np.where(np.isinf(array), array, np.clip(array, -largest, largest)).astype(dtype)
