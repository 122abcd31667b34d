"""Trees, selectors, node roles, and the contract of compression methods."""

from compressjax.core._combine import ChainState, SequenceState, chain, sequence
from compressjax.core._compression import Compression, acts_on, from_encode, identity, on_values
from compressjax.core._fit import Fit, compress, fit
from compressjax.core._layout import Layout
from compressjax.core._masks import Masks, dense_gradient, zero_masked
from compressjax.core._node import Node, buffer, dense, entry_bits, is_node, meta, node, value
from compressjax.core._operation import Convolution, Dense, Product, Ragged, Window
from compressjax.core._optax import CompressedState, as_optax
from compressjax.core._partition import PartitionState, only, partition
from compressjax.core._select import Selector, kernels, matches
from compressjax.core._tree import map_values, materialize, nodes, storage, values, with_values
from compressjax.core._unchanged import UnchangedWarning
from compressjax.core._unfit import LeftOutWarning, UnfitError

__all__ = [
    "ChainState", "CompressedState", "Compression", "Convolution", "Dense", "Fit", "Layout", "LeftOutWarning", "Masks",
    "Node", "PartitionState", "Product", "Ragged", "Selector", "SequenceState", "UnchangedWarning", "UnfitError",
    "Window", "acts_on", "as_optax", "buffer", "chain", "compress", "dense", "dense_gradient", "entry_bits", "fit",
    "from_encode", "identity", "is_node", "kernels", "map_values", "matches", "materialize", "meta", "node", "nodes",
    "on_values", "only", "partition", "sequence", "storage", "value", "values", "with_values", "zero_masked",
]  # fmt: skip
