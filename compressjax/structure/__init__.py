"""Smaller models: removes units, layers and connections from arrays."""

from compressjax.structure._alive import alive
from compressjax.structure._allocate import allocate
from compressjax.structure._budget import Budget, Model, flops, latency, parameters, size
from compressjax.structure._exits import Exits, branch_loss, choose_exits, run_exits
from compressjax.structure._layers import Dropped, blocks, drop_blocks, drop_layers, stacks
from compressjax.structure._shrink import Costs, Cut, Shrunk, shrink
from compressjax.structure._split import (
    Assignment,
    assignment,
    split,
    split_chain,
    split_penalty,
)
from compressjax.structure._units import cut, mask

__all__ = [
    "Assignment", "Budget", "Costs", "Cut", "Dropped", "Exits", "Model", "Shrunk", "alive", "allocate", "assignment",
    "blocks", "branch_loss", "choose_exits", "cut", "drop_blocks", "drop_layers", "flops", "latency", "mask",
    "parameters", "run_exits", "shrink", "size", "split", "split_chain", "split_penalty", "stacks",
]  # fmt: skip
