"""What NumPy knows of compressjax's own nodes, one file a node; JAX is never imported.

`compressjax.coding` loads this folder when it meets the first node. Each file registers its type.
"""

from compressjax.decoders import _block_diagonal, _codebook, _low_rank, _masked, _quantized, _sum  # noqa: F401 - each registers itself
