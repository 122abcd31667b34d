"""Pruning that keeps existing zeros."""

from typing import NamedTuple

from compressjax.core import Compression
from compressjax.prune.training._masking import Arrays, masking


class NonzeroState(NamedTuple):
    """State of `nonzero`: `masks`, `{path: bool array}`, True where the weight was not zero."""

    masks: Arrays


def nonzero() -> Compression:
    """Keeps the exact zeros of the parameters passed to `init`, from an earlier stage or another tool.

    .. math:: M = [W \\neq 0]

    `chain(nonzero(), quant.fake_quant(4))` trains a pruned network on a grid and keeps removed weights at zero. Saves
    bytes as `gradual`; no speed-up.

    Returns:
        Compression with `Masked` nodes.

    Example:
        >>> import jax.numpy as jnp
        >>> nonzero().init({"kernel": jnp.array([[0.0, 2.0]])}).masks["kernel"].tolist()
        [[False, True]]

    Source: the retraining step of Han et al., arXiv:1506.02626 (han2015).
    """
    return masking("nonzero", init=lambda flat: NonzeroState({path: x != 0 for path, x in flat.items()}))
