"""Smaller models: removes units, layers and connections from arrays."""

from compressjax.structure._budget import Budget, flops, latency, parameters, size
from compressjax.structure._exits import Exits, branch_loss, choose_exits, run_exits
from compressjax.structure._layers import Dropped, drop_blocks, drop_layers
from compressjax.structure._repair import Repaired, repair
from compressjax.structure._shrink import Costs, Cut, Shrunk, shrink
from compressjax.structure._split import Assignment, assignment, split, split_chain, split_penalty

__all__ = [
    "Assignment", "Budget", "Costs", "Cut", "Dropped", "Exits", "Repaired", "Shrunk", "assignment", "branch_loss",
    "choose_exits", "drop_blocks", "drop_layers", "flops", "latency", "parameters", "repair", "run_exits", "shrink",
    "size", "split", "split_chain", "split_penalty",
]  # fmt: skip
