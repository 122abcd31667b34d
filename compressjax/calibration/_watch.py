"""The handler of calibration: runs nodes as `lift` does, and records the inputs of wanted leaves as `observe` does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax.core import is_node
from compressjax.interpret.jaxpr._records import Records
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize
from compressjax.interpret.lifting._lift import Lift
from compressjax.interpret.observing._observe import _Observe


class Taken(NamedTuple):
    """What is taken of the inputs of a leaf, beside what costs little."""

    gram: bool = False
    histogram: bool = False

    @classmethod
    def of(cls, records: Records) -> "Taken":
        """What records hold."""
        kinds = [(s.gram is not None, s.histogram is not None) for s in records.values()]
        return cls(any(gram for gram, _ in kinds), any(histogram for _, histogram in kinds))


class Watch(_Observe):
    """Records the inputs of wanted leaves; every other weight runs in the form that it has."""

    def __init__(self, wanted: frozenset[str], gram: bool, histogram: bool = False) -> None:
        super().__init__(gram, histogram)
        self.wanted = wanted
        self._lift = Lift({}, "ignore")

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Applies one equation with a weight."""
        weights = [x for x in inputs if isinstance(x, Weight)]
        if any(map(self._wants, weights)) or not any(is_node(x.node) for x in weights):
            return super().apply(eqn, inputs)
        plain = [materialize(x) if isinstance(x, Weight) and not is_node(x.node) else x for x in inputs]
        results = self._lift.apply(eqn, plain)
        if not all(isinstance(x, Weight | np.ndarray | np.generic | int | float) for x in inputs):
            return results
        return [x if isinstance(x, Weight) else Weight(x, "") for x in results]

    def _wants(self, weight: Weight) -> bool:
        return weight.path in self.wanted or any(map(self._wants, weight.parts))

    def _keep(self, weight: Weight, batch: Sequence[int], summed: Sequence[int], rows: jax.Array) -> None:
        if self._wants(weight):
            super()._keep(weight, batch, summed, rows)

    def _conv(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        if self._wants(weight):
            super()._conv(params, plain, weight)

    def _ragged(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        if self._wants(weight):
            super()._ragged(params, plain, weight)

    def spawn(self) -> "Watch":
        """New handler, whose records the nested trace returns."""
        return Watch(self.wanted, self.gram, self.histogram)
