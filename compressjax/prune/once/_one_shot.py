"""One-shot pruning by any saliency, in any pattern."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, values
from compressjax.prune.distributions._densities import Distribution
from compressjax.prune.once._layerwise import settled
from compressjax.prune.patterns._masks import masks_of, scores_of
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.patterns._ranked import check_pattern
from compressjax.prune.training._masking import Arrays, masking
from compressjax.saliency import Saliency


class OneShotState(NamedTuple):
    """State of `one_shot`.

    Attributes:
        masks: `{path: bool array}`, True where the weight is kept.
        decided: Whether the masks are final: a saliency that reads statistics decides at the first update with them.
    """

    masks: Arrays
    decided: jax.Array


def one_shot(
    saliency: Saliency,
    sparsity: float | None = None,
    distribution: Distribution = "uniform",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Removes at once what a saliency scores lowest.

    .. math:: W \\leftarrow M \\odot W, \\qquad M = \\mathrm{top}_{1 - s}(S)

    The masks follow from the parameters given to `init` (before training: SNIP, GraSP, SynFlow; after it: magnitudes,
    Fisher, OBS), or, for a saliency that reads statistics, from the first `update` that brings them; then they stay,
    and training on with `as_optax` fine-tunes what is kept.

    What it buys: bytes. Positions of single weights cost 2 bits a kept weight at half and 4.7 at nine tenths, N:M
    included; those of 4 x 4 blocks 0.3, those of whole slices next to nothing. No speed-up here: dense products
    multiply zeros too. To make whole units smaller arrays, cut them.

    Args:
        saliency: Any of `compressjax.saliency`.
        sparsity: Fraction of zeros, in [0, 1); left out where the pattern fixes it (N:M).
        distribution: As for `gradual`; `"global"` is what SNIP, GraSP, SynFlow and LAMP are made for.
        pattern: See `as_pattern`.

    Returns:
        Compression whose nodes are `Masked(W * M, M)`.

    Raises:
        ValueError: If a sparsity is outside [0, 1), or the pattern or the distribution is unknown; from `init`, if the
            pattern does not fit a leaf, or the saliency says nothing of it.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.saliency import magnitude
        >>> kernel = jnp.array([[3.0, -1.0], [0.5, 2.0]])
        >>> compress({"kernel": kernel}, {".*": one_shot(magnitude(), pattern="1:2")})["kernel"].mask.tolist()
        [[True, False], [False, True]]

    Source: Lee et al., arXiv:1810.02340 (lee2019), for pruning before training; each saliency and pattern has its own.
    """
    chosen = check_pattern(pattern, sparsity, distribution, "one_shot")
    zeros = f"sparsity={sparsity}, " if sparsity is not None else ""
    name = f"one_shot({saliency.name}, {zeros}pattern={chosen.name})"

    base = masking(name, needs=saliency.needs)
    return _deciding(base, lambda scores: masks_of(scores, sparsity, distribution, chosen), saliency)


def _deciding(base: Compression, decide: Any, saliency: Saliency) -> Compression:
    """Scores whole trees: a loss needs the leaves that are not selected too."""

    def masks(params: Any, stats: Any) -> Arrays:
        return decide(scores_of(saliency.score(params, stats), base.select(params), saliency.name))

    def init(params: Any) -> OneShotState:
        if not saliency.needs:
            return OneShotState(masks(params, None), jnp.array(True))
        flat = values(params)
        kept = {path: jnp.ones_like(flat[path], bool) for path in base.select(params)}
        jax.eval_shape(decide, {path: jnp.zeros(mask.shape) for path, mask in kept.items()})
        return OneShotState(kept, jnp.array(False))

    def update(state: OneShotState, params: Any, grads: Any = None, stats: Any = None) -> OneShotState:
        del grads
        if not saliency.needs or (stats is None and settled(state.decided)):
            return state
        found = jax.lax.cond(state.decided, lambda: state.masks, lambda: masks(params, stats))
        return OneShotState(found, jnp.array(True))

    return base._replace(
        init=init, update=update, restrict=lambda selector: _deciding(base.restrict(selector), decide, saliency)
    )
