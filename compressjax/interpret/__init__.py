"""The jaxpr interpreter: run, explain and observe any JAX function with compressed weights."""

from compressjax.interpret.coupling._couplings import Group, Member, couplings
from compressjax.interpret.jaxpr._weight import Row
from compressjax.interpret.lifting._bound import integer_bound
from compressjax.interpret.lifting._lift import FallbackWarning, explain, lift
from compressjax.interpret.lifting._prepare import prepare
from compressjax.interpret.narrowing._flops import predict_flops
from compressjax.interpret.narrowing._narrow import narrow
from compressjax.interpret.observing._layouts import layouts
from compressjax.interpret.observing._observe import observe
from compressjax.interpret.observing._statistics import Statistics, merge
from compressjax.interpret.tapping._taps import taps

__all__ = [
    "FallbackWarning", "Group", "Member", "Row", "Statistics", "couplings", "explain", "integer_bound", "layouts",
    "lift", "merge", "narrow", "observe", "predict_flops", "prepare", "taps",
]  # fmt: skip
