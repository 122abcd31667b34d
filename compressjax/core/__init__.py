"""Trees, selectors, node roles, and the contract that every method keeps."""

from compressjax.core._checks import check_finite, check_statistics, is_concrete
from compressjax.core._combine import ChainState, SequenceState, chain, sequence
from compressjax.core._compress import compress
from compressjax.core._compression import Compression, from_encode, identity, on_values, only
from compressjax.core._line import count_nonzero
from compressjax.core._node import Node, buffer, dense, entry_bits, is_node, meta, node, value
from compressjax.core._optax import CompressedState, as_optax
from compressjax.core._select import Selector, kernels, matches, select
from compressjax.core._tree import (
    is_value,
    map_values,
    materialize,
    nodes,
    path_string,
    storage,
    values,
    with_values,
)

__all__ = [
    "ChainState",
    "CompressedState",
    "Compression",
    "Node",
    "Selector",
    "SequenceState",
    "as_optax",
    "buffer",
    "chain",
    "check_finite",
    "check_statistics",
    "compress",
    "count_nonzero",
    "dense",
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
    "nodes",
    "on_values",
    "only",
    "path_string",
    "select",
    "sequence",
    "storage",
    "value",
    "values",
    "with_values",
]
