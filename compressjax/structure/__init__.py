"""Smaller models, and models in parts: removes units, layers and connections; splits width, and cuts depth."""

from compressjax.structure._budget import Budget, flops, latency, parameters, size
from compressjax.structure._cut_stages import Stage, Stages, cut_stages
from compressjax.structure._exits import Exits, branch_loss, choose_exits, run_exits
from compressjax.structure._layers import Dropped, drop_blocks, drop_layers
from compressjax.structure._pipeline import Pipeline, pipeline
from compressjax.structure._repair import Repaired, repair
from compressjax.structure._shrink import Costs, Cut, Shrunk, shrink
from compressjax.structure._split import Assignment, assignment, split, split_chain, split_penalty

__all__ = [
    "Assignment", "Budget", "Costs", "Cut", "Dropped", "Exits", "Pipeline", "Repaired", "Shrunk", "Stage", "Stages",
    "assignment", "branch_loss", "choose_exits", "cut_stages", "drop_blocks", "drop_layers", "flops", "latency",
    "parameters", "pipeline", "repair", "run_exits", "shrink", "size", "split", "split_chain", "split_penalty",
]  # fmt: skip
