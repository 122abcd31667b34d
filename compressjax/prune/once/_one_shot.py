"""One-shot pruning by any saliency and pattern."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._select import selected
from compressjax.core._tree import whole
from compressjax.numerics._host import branch
from compressjax.prune.once._layerwise import decided
from compressjax.prune.patterns._checks import Distribution, check_pattern
from compressjax.prune.patterns._masks import masks_of, scores_of
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._masking import Arrays, masking, whole_masks
from compressjax.saliency import Saliency


class OneShotState(NamedTuple):
    """State of `one_shot`: `masks`, `{path: bool array}`, True where kept, and `decided`, whether they are final."""

    masks: Arrays
    decided: jax.Array


def one_shot(
    saliency: Saliency,
    sparsity: float | None = None,
    distribution: Distribution = "uniform",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Removes the weights or units with the lowest saliency at once.

    .. math:: W \\leftarrow M \\odot W, \\qquad M = \\mathrm{top}_{1 - s}(S)

    The masks follow from the parameters passed to `init` (before training: SNIP, GraSP, SynFlow; after it: magnitudes,
    Fisher, OBS) or, for a saliency that reads statistics, from the first `after_step` with `stats`. Then they stay
    fixed; training on with `as_optax` fine-tunes the kept weights. Saves bytes: positions cost 2 bits per kept weight
    at 50 % zeros (also for N:M), 4.7 at 90 %, 0.3 for 4 x 4 blocks, and almost nothing for whole slices. No speed-up:
    to turn removed units into smaller arrays, use `structure.shrink`.

    Args:
        saliency: Any of `compressjax.saliency`.
        sparsity: Fraction of zeros, in [0, 1); None if the pattern fixes it (N:M).
        distribution: As for `gradual`; SNIP, GraSP, SynFlow and LAMP are designed for `"global"`.
        pattern: See `as_pattern`.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range; from `init`, if the pattern or the saliency does not fit a leaf.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.saliency import magnitude
        >>> kernel = jnp.array([[3.0, -1.0], [0.5, 2.0]])
        >>> compress({"kernel": kernel}, {".*": one_shot(magnitude(), pattern="1:2")})["kernel"].mask.tolist()
        [[True, False], [False, True]]

    Source: Lee et al., arXiv:1810.02340 (lee2019), for pruning before training; see also each saliency and pattern.
    """
    chosen = check_pattern(pattern, sparsity, distribution, "one_shot")
    if saliency.reduce == "squared_sum":
        raise ValueError(f"one_shot: {saliency.name} scores units, not weights; use "
                         "saliency.taylor, or structure.shrink")  # fmt: skip
    zeros = f"sparsity={sparsity}, " if sparsity is not None else ""
    name = f"one_shot({saliency.name}, {zeros}pattern={chosen.name})"

    base = masking(name, needs=saliency.needs)

    def decide(scores: Arrays) -> Arrays:
        return masks_of(scores, sparsity, distribution, chosen)

    # The whole tree: a loss needs the unselected leaves too.
    def masks(params: Any, stats: Any) -> Arrays:
        found = saliency.score(whole(params), stats)
        return decide(scores_of(found, tuple(selected(params, name)), saliency.name))

    def init(params: Any) -> OneShotState:
        if not saliency.needs:
            return OneShotState(masks(params, None), jnp.array(True))
        kept = whole_masks(selected(params, name))
        jax.eval_shape(decide, {path: jnp.zeros(mask.shape) for path, mask in kept.items()})
        return OneShotState(kept, jnp.array(False))

    def after_step(params: Any, state: OneShotState, stats: Any = None) -> tuple[Any, OneShotState]:
        if not saliency.needs or (stats is None and decided(state.decided)):
            return params, state
        found = branch(state.decided, lambda: state.masks, lambda: masks(params, stats))
        return params, OneShotState(found, jnp.array(True))

    return base._replace(init=init, after_step=after_step)
