"""`RoundedInputs` in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax.coding import register
from compressjax.coding._twin import named


def _check(fields: Mapping[str, Any], shapes: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    named(fields, ("inner",), ("step",))
    named(meta, (), ("bits", "signed", "rule"))
    bits, signed, rule = meta.get("bits", 8), meta.get("signed", True), meta.get("rule", "pact")
    if type(bits) is not int or not 2 <= bits <= 8 or type(signed) is not bool or rule not in ("lsq", "pact"):
        raise ValueError(f"its inputs have bits={bits!r}, signed={signed!r} and the rule {rule!r}")
    step = fields.get("step")
    if step is not None and (not isinstance(step, np.ndarray) or step.dtype.kind != "f"):
        raise ValueError("its step is not an array of floats")
    if step is not None and tuple(shapes["step"]) not in ((), tuple(shapes["inner"][:1])):
        raise ValueError(f"its step of shape {shapes['step']} is none of a tensor of shape {shapes['inner']}")


register(
    "RoundedInputs",
    dense=lambda fields, meta: fields["inner"],
    shape=lambda shapes, meta: shapes["inner"],
    entrywise=("inner",),
    check=_check,
)
