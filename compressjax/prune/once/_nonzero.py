"""Keeping the zeros that are there."""

from typing import NamedTuple

from compressjax.core import Compression
from compressjax.prune.training._masking import Arrays, masking


class NonzeroState(NamedTuple):
    """State of `nonzero`: `masks`, `{path: bool array}`, True where the weight was not zero."""

    masks: Arrays


def nonzero() -> Compression:
    """Keeps the exact zeros of the parameters given to `init`: the sparsity of an earlier stage, or of another tool.

    .. math:: M = [W \\neq 0]

    `chain(nonzero(), quant.fake_quant(4))` trains a pruned network on a grid without bringing removed weights back.
    Bytes as for `gradual`; no speed by itself.

    Returns:
        Compression whose nodes are `Masked`.

    Example:
        >>> import jax.numpy as jnp
        >>> nonzero().init({"kernel": jnp.array([[0.0, 2.0]])}).masks["kernel"].tolist()
        [[False, True]]

    Source: the retraining step of Han et al., arXiv:1506.02626 (han2015).
    """
    return masking("nonzero", init=lambda flat: NonzeroState({path: x != 0 for path, x in flat.items()}))
