"""The jaxpr interpreter: run, explain and observe any JAX function with compressed weights."""

from compressjax.interpret.coupling._couplings import Group, Member, couplings
from compressjax.interpret.coupling._label_flow import LOOP_AXIS
from compressjax.interpret.coupling._lost import lost_units
from compressjax.interpret.jaxpr._shapes import shapes
from compressjax.interpret.jaxpr._used import used
from compressjax.interpret.jaxpr._weight import Row
from compressjax.interpret.lifting._bound import integer_bound
from compressjax.interpret.lifting._lift import FallbackWarning, describe, explain, lift
from compressjax.interpret.lifting._prepare import prepare
from compressjax.interpret.narrowing._flops import predict_flops
from compressjax.interpret.narrowing._narrow import narrow
from compressjax.interpret.narrowing._without import without
from compressjax.interpret.observing._observe import observe
from compressjax.interpret.observing._statistics import Statistics, merge

__all__ = [
    "LOOP_AXIS", "FallbackWarning", "Group", "Member", "Row", "Statistics", "couplings", "describe", "explain",
    "integer_bound", "lift", "lost_units", "merge", "narrow", "observe", "predict_flops", "prepare", "shapes", "used",
    "without",
]  # fmt: skip
