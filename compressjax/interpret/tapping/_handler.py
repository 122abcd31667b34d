"""The handler of `taps`: runs nodes as `lift` does, and keeps inputs or outputs of the products of wanted weights."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import is_node, ops
from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._records import Key
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize
from compressjax.interpret.lifting._lift import Lift
from compressjax.interpret.lifting._rules import move
from compressjax.interpret.observing._observe import _without_data

Tapped = dict[Key, jax.Array]


class Taps:
    """Keeps arrays of single products; the key of an array has the number of the use of its weight."""

    observes = False
    stacks = True

    def __init__(self, wanted: Callable[[str], bool], at: str) -> None:
        self._wanted, self._at = wanted, at
        self._lift = Lift({}, "ignore")
        self.records: Tapped = {}

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Applies one equation with a weight."""
        weights = [x for x in inputs if isinstance(x, Weight)]
        results = self._run(eqn, inputs, any(is_node(x.node) for x in weights))
        if any(isinstance(x, Weight) for x in results):
            return results
        if len(weights) != 1 or len(inputs) == 1:
            return _without_data(eqn, inputs, results)
        place = next(i for i, x in enumerate(inputs) if isinstance(x, Weight))
        if eqn.primitive.name in _PARTS and weights[0].path and not weights[0].also:
            part = _PARTS[eqn.primitive.name](eqn.params, inputs, place, results[0], self._at)
            if part is not None and self._wanted(weights[0].path):
                self._keep(weights[0].path, part)
        return _without_data(eqn, inputs, results)

    def _run(self, eqn: Any, inputs: Sequence[Any], packed: bool) -> Sequence[Any]:
        if packed:
            return self._lift.apply(eqn, inputs)
        moved = move(eqn, inputs)
        if isinstance(moved, list):
            return moved
        return bind(eqn, [materialize(x) if isinstance(x, Weight) else x for x in inputs])

    def _keep(self, name: str, x: jax.Array) -> None:
        uses = sum(key.path == name for key in self.records)
        self.records[Key(name, (uses,), ())] = x

    def named(self, name: str, x: jax.Array) -> None:
        """Keeps an array that the function names."""
        if self._wanted(name):
            self._keep(name, x)

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """Materializes a weight."""
        del primitive, reason
        return materialize(weight)

    def stacked(self, weight: Weight) -> Weight | None:
        """The weight as stacked layers over axis 0; None if it cannot be stacked."""
        node = ops.stacked(weight.node)
        return None if node is None else Weight(node, weight.path, also=weight.also)

    def row(self, weight: Weight) -> Weight:
        """One of the stacked layers."""
        return weight

    def spawn(self) -> "Taps":
        """New handler, whose records the nested trace returns."""
        return Taps(self._wanted, self._at)

    def collected(self) -> Tapped:
        """Arrays of this trace."""
        return self.records

    def absorb(self, records: Tapped) -> None:
        """Adds the arrays of a nested trace, as later uses."""
        for key, x in records.items():
            self._keep(key.path, x)


def _of_dot(params: dict[str, Any], inputs: Sequence[Any], place: int, out: jax.Array, at: str) -> jax.Array | None:
    """The data `[*batch, *free, *summed]`, or the result `[*batch, *free, *features]`."""
    sums, batches = params["dimension_numbers"]
    summed, batch = sums[1 - place], batches[1 - place]
    x = inputs[1 - place]
    free = [a for a in range(x.ndim) if a not in summed and a not in batch]
    if at == "input":
        return jnp.transpose(x, (*batch, *free, *summed))
    if place:
        return out
    lead, others = list(range(len(batch))), out.ndim - len(free)
    return jnp.transpose(out, (*lead, *range(others, out.ndim), *range(len(batch), others)))


def _of_conv(params: dict[str, Any], inputs: Sequence[Any], place: int, out: jax.Array, at: str) -> jax.Array | None:
    """Images, channels last."""
    if place != 1:
        return None
    numbers = params["dimension_numbers"]
    x, spec = (inputs[0], numbers.lhs_spec) if at == "input" else (out, numbers.out_spec)
    return jnp.transpose(x, (spec[0], *spec[2:], spec[1]))


def _of_gather(params: dict[str, Any], inputs: Sequence[Any], place: int, out: jax.Array, at: str) -> jax.Array | None:
    """The rows of an embedding."""
    return out if place == 0 and at == "output" else None


def _of_ragged(params: dict[str, Any], inputs: Sequence[Any], place: int, out: jax.Array, at: str) -> jax.Array | None:
    """Rows of all experts."""
    if place != 1:
        return None
    return out if at == "output" else inputs[0]


_PARTS = {
    "dot_general": _of_dot,
    "conv_general_dilated": _of_conv,
    "gather": _of_gather,
    "ragged_dot_general": _of_ragged,
}
