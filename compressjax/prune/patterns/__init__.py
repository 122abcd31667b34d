"""Patterns: which weights are removed together."""

from compressjax.prune.patterns._masks import masks_of, pattern_mask
from compressjax.prune.patterns._pattern import Pattern, as_pattern, balanced, block, layer, nm, slices, unstructured

__all__ = [
    "Pattern", "as_pattern", "balanced", "block", "layer", "masks_of", "nm", "pattern_mask", "slices", "unstructured",
]  # fmt: skip
