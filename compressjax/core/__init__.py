"""Trees, selectors, node roles, and the contract that every method keeps."""

from compressjax.core._combine import ChainState, SequenceState, chain, sequence
from compressjax.core._compress import compress
from compressjax.core._compression import Compression, from_encode, identity, on_values, only
from compressjax.core._explicit import with_auto_axes, explicit
from compressjax.core._node import Node, dense, entry_bits, buffer, is_node, meta, node, value
from compressjax.core._numerics import straight_through
from compressjax.core._optax import CompressedState, as_optax
from compressjax.core._second_order import InverseRoot, inverse_root
from compressjax.core._select import Selector, kernels, matches, select
from compressjax.core._top import top_along, top_mask, top_masks
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
    "InverseRoot",
    "Node",
    "Selector",
    "SequenceState",
    "as_optax",
    "with_auto_axes",
    "chain",
    "compress",
    "dense",
    "entry_bits",
    "explicit",
    "buffer",
    "from_encode",
    "identity",
    "inverse_root",
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
    "straight_through",
    "top_along",
    "top_mask",
    "top_masks",
    "value",
    "values",
    "with_values",
]
