"""The `ragged_dot_general` rule: rows sorted by expert, with the experts' matrices as a node."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.core import Dense, Ragged, ops


def apply_ragged(params: dict[str, Any], inputs: Sequence[Any], operand: int = 1) -> Any:
    """Multiplies sorted rows with the node (operand 1), brought to `[experts, in, out]`; `Dense` for other forms."""
    x, node, sizes = inputs
    numbers = params["ragged_dot_dimension_numbers"]
    ((x_sum, w_sum), batch), group = numbers.dot_dimension_numbers, numbers.rhs_group_dimensions
    if x.ndim != 2 or len(node.shape) != 3 or any(batch) or len(group) != 1 or sizes.ndim != 1:
        return Dense("the ragged product is not one of sorted rows [rows, in] with experts [experts, in, out]")
    if params["group_offset"] is not None:
        return Dense("a ragged product with an offset of the groups")
    del operand
    rows = x if x_sum == (1,) else jnp.transpose(x)
    order = (group[0], w_sum[0], next(a for a in range(3) if a not in (group[0], w_sum[0])))
    experts = node if order == (0, 1, 2) else ops.transpose(node, order)
    if isinstance(experts, Dense):
        return experts
    return ops.multiply(rows, experts, Ragged(sizes, params["precision"], params["preferred_element_type"]))
