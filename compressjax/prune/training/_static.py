"""Training under fixed masks."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.numerics._keys import key_data
from compressjax.prune.patterns._checks import Distribution, check_distribution, check_pattern
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._masking import Arrays, masking
from compressjax.prune.training._random import drawn_masks


class StaticState(NamedTuple):
    """State of `static`: `masks`, `{path: bool array}`, which never change."""

    masks: Arrays


def static(
    sparsity: float | None = None,
    key: jax.Array | None = None,
    *,
    distribution: Distribution = "erk",
    pattern: str | Pattern = "unstructured",
    masks: Mapping[str, jax.Array] | None = None,
) -> Compression:
    """Trains a network with fixed masks from the first step on: random ones or given ones.

    .. math:: W \\leftarrow M \\odot W, \\qquad M \\text{ uniform among masks with } (1 - s_l) N_l \\text{ ones}

    The baseline of sparse training; with `masks`, the tickets of `lottery_ticket` or the masks of another tool. Saves
    bytes as `gradual`; no speed-up.

    Args:
        sparsity: Fraction of zeros over all leaves, in [0, 1); with `key`, for random masks.
        key: PRNG key of the random masks.
        distribution: `"erk"`, `"uniform"` or `{pattern: sparsity}`; see `densities`.
        pattern: Pattern of the random masks, see `as_pattern`; `"N:M"` needs its own sparsity and
            `distribution="uniform"`.
        masks: `{value path: bool array}` in place of `sparsity` and `key`; leaves without a mask stay dense.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range, or both or neither of `masks` and `sparsity` are given; from `init`,
            if a mask does not fit its leaf.

    Example:
        >>> params = {"kernel": jnp.ones((4, 5))}
        >>> sparse = static(0.75, jax.random.key(0))
        >>> int(sparse.view(params, sparse.init(params))["kernel"].sum())
        5

    Source: as a baseline in Evci et al., arXiv:1911.11134 (evci2020).
    """
    if masks is not None:
        if sparsity is not None or key is not None:
            raise ValueError("static: give either masks, or sparsity and key")
        return masking("static(masks)", init=lambda flat: StaticState(_given(masks, flat)))
    if sparsity is None or key is None:
        raise ValueError(f"static: random masks need sparsity (got {sparsity}) and key, jax.random.key(seed)")
    check_distribution(distribution, "static", ranks=False)
    units = check_pattern(pattern, sparsity, distribution, "static")
    data = key_data(key)

    def init(flat: Arrays) -> StaticState:
        return StaticState(drawn_masks(data, flat, sparsity, distribution, units))

    return masking(f"static(sparsity={sparsity})", init=init)


def _given(masks: Mapping[str, jax.Array], flat: Arrays) -> Arrays:
    strange = sorted(set(masks) - set(flat))
    if strange and not set(masks) & set(flat):
        raise ValueError(f"static: masks name {strange}, the selected leaves are {sorted(flat)}; name value paths")
    found = {}
    for path, x in flat.items():
        mask = jnp.array(masks[path], bool) if path in masks else jnp.ones(x.shape, bool)
        if mask.shape != x.shape:
            raise ValueError(f"static: the mask of {path!r} has shape {mask.shape}, but the leaf has {x.shape}")
        found[path] = mask
    return found
