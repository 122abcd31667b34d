"""The one jaxpr interpreter behind `lift`, `observe` and `couplings`."""

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
    """What an interpretation does with operations that touch a weight."""

    observes: bool  # whether it records arrays at all

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Results of one equation, of whose inputs at least one is a `Weight`."""

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """The dense array of a weight that an operation cannot take."""

    def stacked(self, weight: Weight) -> Weight | None:
        """The weight as a stack over axis 0, for `scan`; None when it cannot be."""

    def row(self, weight: Weight) -> Weight:
        """One layer of such a stack, inside the loop."""

    def spawn(self) -> "Handler":
        """A handler for a nested trace, whose records must leave it as results."""

    def collected(self) -> Records:
        """Arrays recorded in this trace."""

    def absorb(self, records: Records) -> None:
        """Takes over what a nested trace recorded."""


def evaluate(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], handler: Handler) -> list[Any]:
    """Interprets a jaxpr in which some variables are weights.

    Equations that touch no weight run as they are; calls and loops that a weight enters are interpreted inside;
    anything else that touches a weight goes to the handler.
    """
    with Context() as context:

        def step(_: int, eqn: Any, inputs: list[Any]) -> Sequence[Any]:
            context.enter(eqn)
            if not any(type(x) is Weight for x in inputs):
                return bind(eqn, inputs)
            if eqn.primitive.name in RULES:
                return RULES[eqn.primitive.name](eqn, inputs, handler, evaluate)
            return handler.apply(eqn, inputs)

        # All equations, used or not: some are there for their effects.
        return walk(jaxpr, enumerate(jaxpr.eqns), consts, args, step)
