"""Measurements of bytes, speed and accuracy."""

from compressjax.measure._accuracy import accuracy_interval, changed_predictions
from compressjax.measure._collectives import Collective, collective_bytes, collectives, wire_bytes
from compressjax.measure._cost import MultiplyAdds, flops, multiply_adds
from compressjax.measure._hessian_trace import Trace, hessian_trace
from compressjax.measure._interval import Proportion
from compressjax.measure._latency import Ratio, Timings, interleaved
from compressjax.measure._leaf_losses import LeafLosses, leaf_losses
from compressjax.measure._leaves import leaves
from compressjax.measure._ledger import LeafRow, ledger
from compressjax.measure._masks import DeadUnits, MaskStatistics, dead_units, mask_statistics
from compressjax.measure._memory import memory_bytes, peak_memory, temp_bytes
from compressjax.measure._paired import PairedDifference, paired_difference
from compressjax.measure._rate import RateGap, code_contexts, rate_gaps
from compressjax.measure._sensitivity import Agreement, Sensitivity, agreement, estimated_sensitivity, sensitivity
from compressjax.measure._sizes import SizeRow, sizes
from compressjax.measure._sparsity import Sparsity, sparsity
from compressjax.measure._sqnr import sqnr
from compressjax.measure._summary import Summary, summary
from compressjax.measure._table import html, jsonable, markdown, table

__all__ = [
    "Agreement",
    "Collective",
    "DeadUnits",
    "LeafLosses",
    "LeafRow",
    "MaskStatistics",
    "MultiplyAdds",
    "PairedDifference",
    "Proportion",
    "RateGap",
    "Ratio",
    "Sensitivity",
    "SizeRow",
    "Sparsity",
    "Summary",
    "Timings",
    "Trace",
    "accuracy_interval",
    "agreement",
    "changed_predictions",
    "code_contexts",
    "collective_bytes",
    "collectives",
    "dead_units",
    "estimated_sensitivity",
    "flops",
    "hessian_trace",
    "html",
    "interleaved",
    "jsonable",
    "leaf_losses",
    "leaves",
    "ledger",
    "markdown",
    "mask_statistics",
    "memory_bytes",
    "multiply_adds",
    "paired_difference",
    "peak_memory",
    "rate_gaps",
    "sensitivity",
    "sizes",
    "sparsity",
    "sqnr",
    "summary",
    "table",
    "temp_bytes",
    "wire_bytes",
]  # fmt: skip
