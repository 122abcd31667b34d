"""Trees, selectors, node roles, and the contract of compression methods."""

from compressjax.core._checks import check_finite, check_statistics, is_concrete
from compressjax.core._combine import ChainState, SequenceState, chain, sequence
from compressjax.core._compression import Compression, acts_on, from_encode, identity, on_values
from compressjax.core._line import count_nonzero
from compressjax.core._masks import Masks, dense_gradient, zero_masked
from compressjax.core._node import Node, buffer, dense, entry_bits, is_node, meta, node, node_types, value
from compressjax.core._operation import Convolution, Dense, Product, Window
from compressjax.core._optax import CompressedState, as_optax
from compressjax.core._partition import PartitionState, compress, only, partition
from compressjax.core._select import Selector, kernels, matches, select, selected
from compressjax.core._tree import (
    is_value,
    map_values,
    materialize,
    nodes,
    path_string,
    storage,
    values,
    whole,
    with_values,
)
from compressjax.core._unchanged import UnchangedWarning, unchanged

__all__ = [
    "ChainState",
    "CompressedState",
    "Compression",
    "Convolution",
    "Dense",
    "Masks",
    "Node",
    "PartitionState",
    "Product",
    "Selector",
    "SequenceState",
    "UnchangedWarning",
    "Window",
    "acts_on",
    "as_optax",
    "buffer",
    "chain",
    "check_finite",
    "check_statistics",
    "compress",
    "count_nonzero",
    "dense",
    "dense_gradient",
    "entry_bits",
    "from_encode",
    "identity",
    "is_concrete",
    "is_node",
    "is_value",
    "kernels",
    "map_values",
    "matches",
    "materialize",
    "meta",
    "node",
    "node_types",
    "nodes",
    "on_values",
    "only",
    "partition",
    "path_string",
    "select",
    "selected",
    "sequence",
    "storage",
    "unchanged",
    "value",
    "values",
    "whole",
    "with_values",
    "zero_masked",
]
