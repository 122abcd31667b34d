"""How many rows a function multiplies with every weight."""

import math
from collections.abc import Sequence
from typing import Any

from compressjax.interpret.jaxpr._weight import Row
from compressjax.interpret.lifting._lift import Lift


class Uses(Lift):
    """The handler of `explain`, which also keeps the fewest rows of a product by path, and depthwise kernels."""

    def __init__(self) -> None:
        rows: dict[Row, None] = {}
        super().__init__(rows, "ignore")
        self.fewest: dict[str, int] = {}
        self.depthwise: set[str] = set()
        self._others: set[str] = set()  # kernels of other convolutions, also if some of theirs are depthwise

    def _multiply(self, eqn: Any, inputs: Sequence[Any], at: int, rule: Any) -> Sequence[Any]:
        if eqn.primitive.name == "conv_general_dilated":
            paths = set(inputs[at].paths)
            if _is_depthwise(eqn.params, inputs[at].shape):
                self.depthwise |= paths - self._others
            else:
                self._others |= paths
                self.depthwise -= paths
        count = rows_of(eqn, at)
        if count is not None:
            self.fewest |= {path: min(count, self.fewest.get(path, count)) for path in inputs[at].paths}
        return super()._multiply(eqn, inputs, at, rule)


def _is_depthwise(params: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """Whether a convolution is one that grids run as a sum of shifted images."""
    out, inputs, *spatial = params["dimension_numbers"].rhs_spec
    plain = all(step == 1 for step in (params["batch_group_count"], *params["lhs_dilation"], *params["rhs_dilation"]))
    return plain and len(spatial) == 2 and shape[inputs] == 1 and 1 < shape[out] == params["feature_group_count"]


def rows_of(eqn: Any, at: int) -> int | None:
    """Rows that a product multiplies with its operand `at`; None for operations that are no products of matrices."""
    name = eqn.primitive.name
    if name not in ("dot_general", "ragged_dot_general"):
        return None
    shape = eqn.invars[1 - at].aval.shape
    if any(not isinstance(d, int) for d in shape):  # a symbolic size of an exported program: it may be one
        return 1
    if name == "dot_general":
        contracted, batch = eqn.params["dimension_numbers"]
        taken = {*contracted[1 - at], *batch[1 - at]}
        return math.prod(d for a, d in enumerate(shape) if a not in taken)
    experts = [eqn.invars[at].aval.shape[a] for a in eqn.params["ragged_dot_dimension_numbers"].rhs_group_dimensions]
    return max(1, shape[0] // max(1, *experts))
