"""The `conv_general_dilated` rule for a kernel that is a node."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from compressjax.core import Convolution, ops

_NAMES = [field.name for field in dataclasses.fields(Convolution) if field.name != "dtype"]


def convolution(params: dict[str, Any]) -> Convolution:
    """Parameters of an equation as a `Convolution`."""
    return Convolution(**{name: params[name] for name in _NAMES}, dtype=params["preferred_element_type"])


def apply_conv(params: dict[str, Any], inputs: Sequence[Any], operand: int = 1) -> Any:
    """Convolves the activations (operand 0) with the node."""
    return ops.multiply(inputs[0], inputs[operand], convolution(params))
