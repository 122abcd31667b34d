"""Movement pruning: weights that move away from zero are kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression, zero_masked
from compressjax.core._learn import Strength, at_step, learn
from compressjax.core._settings import as_int, as_number
from compressjax.prune.patterns._checks import Distribution, check_pattern, check_strength, own_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.patterns._ranked import ranked
from compressjax.prune.schedules._schedule import Schedule
from compressjax.prune.training._gradual import as_schedule, counts_at
from compressjax.prune.training._masking import Arrays, masking, shapes_of, whole_masks


class MovementState(NamedTuple):
    """State of `movement` and `soft_movement`: a float32 score per weight and the masks of used weights."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    scores: Arrays
    masks: Arrays
    inner: Any


def movement(
    sparsity: float | Schedule | None,
    *,
    end: int | None = None,
    begin: int = 0,
    every: int = 1,
    initial: float = 0.0,
    optimizer: optax.GradientTransformation | None = None,
    distribution: Distribution = "uniform",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Learns a score for every weight and keeps the weights with the largest scores (hard movement pruning).

    .. math:: \\hat W = top_{(1 - s_t) N}(S) \\odot W, \\qquad
        \\frac{\\partial L}{\\partial S} := \\frac{\\partial L}{\\partial \\hat W} \\odot W

    with a straight-through gradient, and `s_t` cubic from `begin` to `end`. A score grows while its weight moves away
    from zero, which matters more than magnitude when a pretrained model is fine-tuned to high sparsity. Masked weights
    do not move, but their scores do, so they can return until the last ranking. The scores and their moments take as
    much memory as the weights and theirs. Saves bytes as `gradual`; no speed-up.

    Args:
        sparsity: Final fraction of zeros, in [0, 1), or a schedule, which replaces `begin`, `end` and `initial` and may
            fall again (`periodic`); None if the pattern fixes it (N:M).
        end: Step from which the sparsity is final; scores still learn, and masks follow them.
        begin: Step of the first mask.
        every: Steps between rankings, at least 1.
        initial: Fraction of zeros at `begin`.
        optimizer: Optimizer of the scores; `optax.sgd(1.0)` if None, which sums the gradients. Only ranks count, so its
            rate does not. Adam makes all first steps of one size, and rounding then decides the first ranks.
        distribution: `"uniform"`, `"global"`, `"erk"` or `{pattern: sparsity}`.
        pattern: See `as_pattern`; units are ranked by their mean score.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> method = movement(0.5, end=1, optimizer=optax.sgd(1.0))
        >>> params = {"kernel": jnp.array([[5.0, 1.0]])}
        >>> toward_and_away = {"kernel": jnp.array([[1.0, -1.0]])}
        >>> _, state = method.before_step(toward_and_away, params, method.init(params))
        >>> method.after_step(params, state)[1].masks["kernel"].tolist()
        [[False, True]]

    Source: Sanh et al., arXiv:2005.07683 (sanh2020).
    """
    schedule = as_schedule("movement", own_sparsity(sparsity, pattern), begin, end, initial)
    units = check_pattern(pattern, schedule.sparsity, distribution, "movement")
    every = as_int("movement", "every", every)
    if every < 1:
        raise ValueError(f"movement: every={every} must be at least 1")
    start, last = schedule.begin, schedule.end

    def masks_at(step: jax.Array, scores: Arrays) -> Arrays:
        counts = counts_at(step, schedule, shapes_of(scores), distribution, units.single)
        return ranked(scores, counts, units)

    def advance(state: MovementState) -> MovementState:
        step = state.count + 1
        due = (step >= start) & (((step - start) % every == 0) | (step == last))
        masks = jax.lax.cond(due, lambda: masks_at(step, state.scores), lambda: state.masks)
        return state._replace(count=step, masks=masks)

    moves = optax.sgd(1.0) if optimizer is None else optimizer
    return _movement(f"movement(sparsity={schedule.sparsity}, end={last})", moves, advance, lambda step, score: 0.0)


def soft_movement(
    threshold: float = 0.1, *, penalty: Strength, optimizer: optax.GradientTransformation | None = None
) -> Compression:
    """Learns a score for every weight and keeps the weights whose score exceeds a threshold.

    .. math:: \\hat W = [\\sigma(S) > \\tau] \\odot W, \\qquad
        g_S = \\frac{\\partial L}{\\partial \\hat W} \\odot W + \\lambda_t\\,\\sigma'(S)

    where the second term is the gradient of the penalty `lambda * sum(sigmoid(S))`, which lowers all scores. The
    sparsity of each layer follows from `lambda`. Bytes, speed and memory as for `movement`.

    Args:
        threshold: Bound on the sigmoid of the score, in (0, 1). Scores start at 0, so below 0.5 training starts dense.
        penalty: The factor `lambda`, or a function of the step, such as a warm-up.
        optimizer: Optimizer of the scores; `optax.adam(1e-2)` if None.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If the threshold is outside (0, 1) or the penalty negative.

    Example:
        >>> method = soft_movement(penalty=1.0, optimizer=optax.sgd(20.0))
        >>> params = {"kernel": jnp.array([[5.0, 1.0]])}
        >>> _, state = method.before_step({"kernel": jnp.array([[-1.0, 0.0]])}, params, method.init(params))
        >>> method.after_step(params, state)[1].masks["kernel"].tolist()
        [[True, False]]

    Source: Sanh et al., arXiv:2005.07683 (sanh2020).
    """
    threshold = as_number("soft_movement", "threshold", threshold)
    if not 0.0 < threshold < 1.0:
        raise ValueError(f"soft_movement: threshold={threshold} is outside (0, 1), where the sigmoid of a score lies")
    penalty = check_strength("soft_movement", "penalty", penalty, "below, every kept weight would be rewarded")

    def advance(state: MovementState) -> MovementState:
        masks = {path: jax.nn.sigmoid(s) > threshold for path, s in state.scores.items()}
        return state._replace(count=state.count + 1, masks=masks)

    def pull(step: jax.Array, score: jax.Array) -> jax.Array:
        chance = jax.nn.sigmoid(score)
        return at_step(penalty, step) * chance * (1 - chance)

    moves = optax.adam(1e-2) if optimizer is None else optimizer
    return _movement(f"soft_movement(threshold={threshold})", moves, advance, pull)


def _movement(
    name: str,
    optimizer: optax.GradientTransformation,
    advance: Callable[[MovementState], MovementState],
    pull: Callable[[jax.Array, jax.Array], Any],
) -> Compression:
    """Both methods: the gradient of a score is the dense gradient times the weight, plus `pull(step, score)`."""

    def init(flat: Arrays) -> MovementState:
        scores = {path: jnp.zeros_like(x, jnp.float32) for path, x in flat.items()}
        state = MovementState(jnp.full((), -1, jnp.int32), scores, whole_masks(flat), optimizer.init(scores))
        return advance(state)  # chooses the masks of step 0

    def before_step(grads: Arrays, flat: Arrays, state: MovementState) -> tuple[Arrays, MovementState]:
        slopes = {
            path: g.astype(jnp.float32) * flat[path].astype(jnp.float32) + pull(state.count, state.scores[path])
            for path, g in grads.items()
        }
        scores, inner = learn(optimizer, slopes, state.inner, state.scores)
        return zero_masked(grads, state.masks), state._replace(scores=scores, inner=inner)

    def after_step(flat: Arrays, state: MovementState, stats: Any) -> tuple[Arrays, MovementState]:
        return flat, advance(state)

    return masking(name, learns=True, init=init, before_step=before_step, after_step=after_step)
