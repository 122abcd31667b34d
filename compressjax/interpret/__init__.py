"""The jaxpr interpreter: run, explain and observe any JAX function with compressed weights."""

from compressjax.interpret._bound import integer_bound
from compressjax.interpret._couplings import Group, Member, couplings
from compressjax.interpret._flops import predict_flops
from compressjax.interpret._label_flow import LOOP_AXIS
from compressjax.interpret._lift import FallbackWarning, describe, explain, lift
from compressjax.interpret._lost import lost_units
from compressjax.interpret._narrow import narrow
from compressjax.interpret._observe import observe
from compressjax.interpret._prepare import prepare
from compressjax.interpret._shapes import shapes
from compressjax.interpret._statistics import Statistics, merge
from compressjax.interpret._used import used
from compressjax.interpret._weight import Row
from compressjax.interpret._without import without

__all__ = [
    "LOOP_AXIS", "FallbackWarning", "Group", "Member", "Row", "Statistics", "couplings", "describe", "explain",
    "integer_bound", "lift", "lost_units", "merge", "narrow", "observe", "predict_flops", "prepare", "shapes", "used",
    "without",
]  # fmt: skip
