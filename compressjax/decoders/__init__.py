"""NumPy decoders of compressjax's nodes, one file per node, without JAX.

`compressjax.coding` imports this folder when it first reads a node. Each file registers its type.
"""

from compressjax.decoders import (  # noqa: F401 - each registers itself
    _block_diagonal,
    _codebook,
    _cp,
    _key,
    _kronecker,
    _low_rank,
    _masked,
    _patterned,
    _quantized,
    _rounded_inputs,
    _scaled,
    _sum,
    _tensor_train,
    _tucker,
    _vector_codebook,
    _weight_norm,
)
