"""WoodFisher: blockwise Optimal Brain Surgeon; kept weights compensate removed ones."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._select import selected
from compressjax.core._tree import whole
from compressjax.numerics import with_auto_axes
from compressjax.prune.once._layerwise import LayerwiseState, shifting
from compressjax.prune.patterns._checks import Distribution, check_distribution, check_sparsity
from compressjax.prune.patterns._masks import masks_of
from compressjax.prune.training._masking import Arrays
from compressjax.saliency._gradients import Loss, stacked_gradients
from compressjax.saliency._woodbury import constrained_step, woodbury_inverse


def woodfisher(
    loss: Loss,
    batches: Sequence[Any],
    sparsity: float,
    distribution: Distribution = "global",
    *,
    block: int = 64,
    damping: float = 1e-5,
    rounds: int = 1,
) -> Compression:
    """Removes the weights whose removal the kept weights can best compensate, and updates the kept weights.

    .. math:: s_q = \\frac{w_q^2}{2 [F^{-1}]_{qq}}, \\qquad
        w \\leftarrow w - F^{-1}_{:Q} (F^{-1}_{QQ})^{-1} w_Q, \\qquad
        F^{-1} \\leftarrow F^{-1} - F^{-1}_{:Q} (F^{-1}_{QQ})^{-1} F^{-1}_{Q:}

    where `F` is the damped empirical Fisher matrix at the parameters passed to `init`, in blocks of successive weights
    of a leaf. Each round chooses its removed weights `Q` together; one weight per round is Optimal Brain Surgeon. Exact
    on a quadratic loss with Hessian `F`. Memory: the gradients of all examples, and `block` numbers per weight. Saves
    bytes as `gradual`, without training; no speed-up.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the batch's examples; called with batches of one.
        batches: List of batches, pytrees of arrays `[examples, ...]`; a few hundred examples.
        sparsity: Fraction of zeros, in [0, 1).
        distribution: As for `gradual`.
        block: Weights per block, at least 1.
        damping: The damping added to the diagonal, positive.
        rounds: Number of rounds, at least 1.

    Returns:
        Compression with `Masked` nodes; its state is a `LayerwiseState`, decided at `init`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if there are no batches.

    Example:
        >>> from compressjax.core import compress
        >>> loss = lambda p, x: jnp.mean(x @ p["kernel"])
        >>> rows = jnp.array([[1.0, 1.0], [1.0, 0.9]])
        >>> params = {"kernel": jnp.array([[3.0], [2.0]])}
        >>> small = compress(params, {".*": woodfisher(loss, [rows], 0.5)})["kernel"]
        >>> small.mask.tolist(), round(small.value[0, 0].item(), 1)
        ([[True], [False]], 4.9)

    Source: Singh and Alistarh, arXiv:2004.14340 (singh2020); Hassibi and Stork, 1993 (hassibi1993).
    """
    check_sparsity(sparsity, "sparsity")
    check_distribution(distribution)
    if block < 1 or not 0 < damping < math.inf or rounds < 1:
        raise ValueError(f"woodfisher: block={block} and rounds={rounds} must be at least 1, damping={damping} > 0")

    base = shifting(f"woodfisher(sparsity={sparsity})")

    def init(params: Any) -> LayerwiseState:
        chosen = selected(params, base.name)
        # The whole tree: the loss needs the unselected leaves too.
        grads = stacked_gradients(loss, whole(params), batches, "woodfisher")
        rows = {path: grads[path].astype(jnp.float32) for path in chosen}
        like = LayerwiseState(chosen, chosen, jnp.array(True), {})
        return with_auto_axes(solve, like)(chosen, rows)

    def solve(flat: Arrays, rows: Arrays) -> LayerwiseState:
        paths = tuple(flat)
        # Inverses of each leaf's blocks, [blocks, block, block].
        parts = {path: _Blocks(flat[path], block) for path in paths}
        inverses = {path: jax.lax.map(lambda g: woodbury_inverse(g, damping), parts[path].rows(rows[path]))
                    for path in paths}  # fmt: skip
        weights = {path: parts[path].split(flat[path]) for path in paths}
        masks = {path: jnp.ones(flat[path].shape, bool) for path in paths}
        for k in range(1, rounds + 1):
            scores = {path: parts[path].join(_scores(weights[path], inverses[path])) for path in paths}
            scores = {path: jnp.where(masks[path], s, -1.0) for path, s in scores.items()}
            kept = masks_of(scores, sparsity * k / rounds, _at(distribution, k / rounds), final=k == rounds)
            for path in paths:
                gone = parts[path].split(masks[path] & ~kept[path])
                weights[path], inverses[path] = jax.lax.map(_cut, (weights[path], inverses[path], gone))
            masks = kept
        shifts = {path: parts[path].join(w) - flat[path].astype(jnp.float32) for path, w in weights.items()}
        return LayerwiseState(masks, shifts, jnp.array(True), {})

    return base._replace(init=init)


class _Blocks:
    """A leaf as blocks of successive weights, the last one padded."""

    def __init__(self, x: jax.Array, block: int) -> None:
        self.shape, self.size = x.shape, x.size
        self.block = max(min(block, x.size), 1)

    def split(self, x: jax.Array) -> jax.Array:
        kind = x.dtype if x.dtype == bool else jnp.float32
        return jnp.pad(x.astype(kind).ravel(), (0, -self.size % self.block)).reshape(-1, self.block)

    def rows(self, g: jax.Array) -> jax.Array:
        flat = jnp.pad(g.reshape(len(g), -1), ((0, 0), (0, -self.size % self.block)))
        return jnp.moveaxis(flat.reshape(len(g), -1, self.block), 1, 0)

    def join(self, x: jax.Array) -> jax.Array:
        return x.ravel()[: self.size].reshape(self.shape)


def _scores(weights: jax.Array, inverse: jax.Array) -> jax.Array:
    diagonal = jnp.diagonal(inverse, axis1=1, axis2=2)
    return jnp.square(weights) / (2 * jnp.where(diagonal > 0, diagonal, 1.0))


def _cut(block: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Removes weights of one block, updates the kept ones, and removes their rows and columns from the inverse."""
    weights, inverse, gone = block
    change, _ = constrained_step(weights, inverse, gone)
    out = gone.astype(weights.dtype)
    system = inverse * out[:, None] * out[None, :] + jnp.diag(1 - out)
    coupling = jnp.linalg.solve(system, inverse * out[:, None])
    less = jnp.matmul(inverse * out[None, :], coupling, precision=jax.lax.Precision.HIGHEST)
    left = jnp.where(gone[:, None] | gone[None, :], 0.0, inverse - less)
    return jnp.where(gone, 0.0, weights + change), left


def _at(distribution: Distribution, share: float) -> Distribution:
    if isinstance(distribution, str):
        return distribution
    return {pattern: sparsity * share for pattern, sparsity in distribution.items()}
