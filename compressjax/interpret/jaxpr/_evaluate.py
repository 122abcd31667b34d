"""The jaxpr interpreter behind `lift` and `observe`."""

from collections.abc import Sequence
from typing import Any, Protocol

import jax

from compressjax.interpret.jaxpr._bind import Context, bind
from compressjax.interpret.jaxpr._calls import CALLS
from compressjax.interpret.jaxpr._loops import LOOPS
from compressjax.interpret.jaxpr._records import Records
from compressjax.interpret.jaxpr._walk import walk
from compressjax.interpret.jaxpr._weight import Weight

RULES = CALLS | LOOPS


class Handler(Protocol):
    """Interprets operations that have a weight as operand."""

    observes: bool  # whether it records sums
    stacks: bool  # whether it records arrays of single products, which a loop stacks over its iterations

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Results of one equation with at least one `Weight` as input."""

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """Dense array of a weight, for an operation that has no rule for it."""

    def stacked(self, weight: Weight) -> Weight | None:
        """The weight as stacked layers over axis 0, for `scan`; None if it cannot be stacked."""

    def row(self, weight: Weight) -> Weight:
        """One of the stacked layers, inside the loop."""

    def named(self, name: str, x: jax.Array) -> None:
        """Sees an array that the function names with `checkpoint_name`."""

    def spawn(self) -> "Handler":
        """Handler for a nested trace, which must return its records as results."""

    def collected(self) -> Records:
        """Arrays recorded in this trace."""

    def absorb(self, records: Records) -> None:
        """Adds the records of a nested trace."""


def evaluate(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], handler: Handler) -> list[Any]:
    """Interprets a jaxpr in which some variables are weights.

    Equations without a weight run unchanged. Calls and loops with a weight are interpreted inside. The handler applies
    all other equations with a weight.
    """
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[Any]) -> Sequence[Any]:
            context.enter(eqn)
            if not any(type(x) is Weight for x in inputs):
                out = bind(eqn, inputs)
                if eqn.primitive.name == "name":
                    handler.named(eqn.params["name"], out[0])
                return out
            if eqn.primitive.name in RULES:
                return RULES[eqn.primitive.name](eqn, inputs, handler, evaluate)
            return handler.apply(eqn, inputs)

        # Run unused equations too, since some have side effects.
        return walk(jaxpr, enumerate(jaxpr.eqns), consts, args, step)
