"""Schedules: functions from the step to the sparsity."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number, integers
from compressjax.prune.patterns._checks import check_sparsity


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """A sparsity schedule: `schedule(step)` is the sparsity after `step` steps, 0 before `begin`.

    Attributes:
        name: Name in manifests.
        sparsity: Final fraction of zeros.
        begin: First step with zeros.
        end: Step from which the sparsity is final.
        initial: Fraction of zeros at `begin`.
        progress: `step -> fraction` in [0, 1]: 0 at `initial`, 1 at `sparsity` and from `end` on.
        every: Steps between changes; None if the sparsity changes at every step.
        rises: Whether the sparsity never falls.

    Example:
        >>> Schedule("jump", 0.5, 0, 2, 0.0, lambda step: jnp.where(step < 2, 0.0, 1.0))(jnp.arange(4)).tolist()
        [0.0, 0.0, 0.5, 0.5]
    """

    name: str
    sparsity: float
    begin: int
    end: int
    initial: float
    progress: Callable[[jax.Array | int], jax.Array]
    every: int | None = None
    rises: bool = True

    def __call__(self, step: jax.Array | int) -> jax.Array:
        """Sparsity after `step` steps, float32; any integer shape, may be traced."""
        level = self.initial + (self.sparsity - self.initial) * self.progress(step)
        return jnp.where(jnp.asarray(step) < self.begin, 0.0, level)


def progress(step: jax.Array | int, begin: int, end: int, power: float) -> jax.Array:
    """Fraction of the change from the initial to the final sparsity, `1 - (1 - (t - t_0) / (t_1 - t_0))^p`."""
    _check_progress(begin, end, power)
    left = jnp.clip((end - jnp.asarray(step, jnp.float32)) / max(end - begin, 1), 0.0, 1.0)
    # With end == begin the schedule is a jump, which the division above cannot represent.
    left = jnp.where(jnp.asarray(step) >= end, 0.0, left)
    return 1.0 - left**power


def polynomial(
    sparsity: float, *, end: int, begin: int = 0, initial: float = 0.0, power: float = 3, name: str = ""
) -> Schedule:
    """Returns a polynomial schedule: it removes weights fast at first and slowly at the end.

    .. math:: s_t = s_f + (s_i - s_f)(1 - \\tfrac{t - t_0}{t_1 - t_0})^p

    Args:
        sparsity: Final fraction of zeros, in [0, 1).
        end: Step `t_1`, at least `begin`.
        begin: Step `t_0`, at least 0.
        initial: Fraction of zeros at `begin`, at most `sparsity`.
        power: Exponent, positive.
        name: Name in manifests.

    Returns:
        The schedule.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> polynomial(0.8, end=10, power=2)(jnp.array([0, 5, 10])).tolist()
        [0.0, 0.60..., 0.80...]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017).
    """
    power = as_number(name or "polynomial", "power", power)
    name = name or f"polynomial(power={power})"
    sparsity, begin, end, initial = _read(name, sparsity, begin, end, initial)
    _check_progress(begin, end, power)
    return Schedule(name, sparsity, begin, end, initial, lambda step: progress(step, begin, end, power))


def cubic(sparsity: float, *, end: int, begin: int = 0, initial: float = 0.0) -> Schedule:
    """Returns the `polynomial` schedule of power 3, the usual choice.

    Args:
        sparsity: As for `polynomial`.
        end: As for `polynomial`.
        begin: As for `polynomial`.
        initial: As for `polynomial`.

    Returns:
        The schedule.

    Example:
        >>> cubic(0.8, end=100)(jnp.array([0, 50, 100])).tolist()
        [0.0, 0.69..., 0.80...]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017).
    """
    return polynomial(sparsity, end=end, begin=begin, initial=initial, name="cubic")


def linear(sparsity: float, *, end: int, begin: int = 0, initial: float = 0.0) -> Schedule:
    """Returns the `polynomial` schedule of power 1, which removes the same number of weights at every step.

    Args:
        sparsity: As for `polynomial`.
        end: As for `polynomial`.
        begin: As for `polynomial`.
        initial: As for `polynomial`.

    Returns:
        The schedule.

    Example:
        >>> linear(0.5, end=4)(jnp.arange(5)).tolist()
        [0.0, 0.125, 0.25, 0.375, 0.5]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017), with power 1.
    """
    return polynomial(sparsity, end=end, begin=begin, initial=initial, power=1, name="linear")


def exponential(sparsity: float, *, end: int, begin: int = 0, initial: float = 0.0) -> Schedule:
    """Returns a schedule that removes the same fraction of the remaining weights at every step.

    .. math:: 1 - s_t = (1 - s_i)\\left(\\frac{1 - s_f}{1 - s_i}\\right)^{(t - t_0) / (t_1 - t_0)}

    Args:
        sparsity: As for `polynomial`.
        end: As for `polynomial`.
        begin: As for `polynomial`.
        initial: As for `polynomial`.

    Returns:
        The schedule.

    Example:
        >>> exponential(0.75, end=2)(jnp.arange(3)).tolist()
        [0.0, 0.5, 0.75]

    Source: the rounds of Tanaka et al., arXiv:2006.05467 (tanaka2020), one per step.
    """
    sparsity, begin, end, initial = _read("exponential", sparsity, begin, end, initial)
    ratio = (1 - sparsity) / (1 - initial)

    def done(step: jax.Array | int) -> jax.Array:
        there = progress(step, begin, end, 1)
        if ratio == 1:
            return there
        return jnp.where(there >= 1, 1.0, (1 - ratio**there) / (1 - ratio))

    return Schedule("exponential", sparsity, begin, end, initial, done)


def at_once(sparsity: float, *, at: int = 0) -> Schedule:
    """Returns a schedule that removes everything at one step.

    .. math:: s_t = s_f\\,[t \\ge t_0]

    Args:
        sparsity: As for `polynomial`.
        at: Step `t_0`, at least 0.

    Returns:
        The schedule.

    Example:
        >>> at_once(0.5, at=2)(jnp.arange(4)).tolist()
        [0.0, 0.0, 0.5, 0.5]

    Source: the one-shot pruning of Frankle and Carbin, arXiv:1803.03635 (frankle2019).
    """
    at = as_int("at_once", "at", at)
    return polynomial(sparsity, end=at, begin=at, power=1, name="at_once")


def iterative(sparsity: float, *, rounds: int, end: int, begin: int = 0) -> Schedule:
    """Returns a schedule that removes the same fraction of the remaining weights at the start of every round.

    .. math:: 1 - s_t = (1 - s_f)^{k / n}, \\qquad k = \\lfloor n (t - t_0) / (t_1 - t_0) \\rfloor + 1

    The first of the `n` rounds begins at `t_0`, the last at `t_1`. `lottery_ticket` does the same and rewinds.

    Args:
        sparsity: As for `polynomial`.
        rounds: Number of rounds `n`, at least 1; above 1, `rounds - 1` must divide `end - begin`.
        end: Step `t_1`, at which the last round begins.
        begin: Step `t_0`, at which the first round begins.

    Returns:
        The schedule.

    Raises:
        ValueError: If an argument is out of range, or the rounds do not divide the steps.

    Example:
        >>> iterative(0.75, rounds=2, end=4)(jnp.array([0, 3, 4])).tolist()
        [0.5, 0.5, 0.75]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    sparsity, begin, end, _ = _read("iterative", sparsity, begin, end, 0.0)
    rounds = as_int("iterative", "rounds", rounds)
    first = min(1 - (1 - sparsity) ** (1 / max(rounds, 1)), sparsity)
    gaps = max(rounds - 1, 1)
    if rounds < 1 or (end - begin) % gaps or (rounds > 1) != (end > begin):
        raise ValueError(f"iterative: rounds={rounds} must split begin={begin} to end={end} into rounds - 1 equal gaps")
    every = max((end - begin) // gaps, 1)

    def done(step: jax.Array | int) -> jax.Array:
        k = jnp.clip((jnp.asarray(step) - begin) // every, 0, rounds - 1) + 1
        there = 1 - jnp.float32(1 - sparsity) ** (k / rounds)
        if sparsity == first:
            return jnp.where(jnp.asarray(step) >= end, 1.0, 0.0)
        return jnp.where(jnp.asarray(step) >= end, 1.0, jnp.clip((there - first) / (sparsity - first), 0.0, 1.0))

    return Schedule("iterative", sparsity, begin, end, first, done, every=every)


def periodic(sparsity: float, *, periods: int, end: int, begin: int = 0, initial: float = 0.0) -> Schedule:
    """Returns a schedule that repeats `cubic`, so that weights removed too early get another chance.

    .. math:: s_t = s_f + (s_i - s_f)(1 - u)^3, \\qquad u = \\frac{(t - t_0) \\bmod T}{T - 1}, \\quad
        T = \\lfloor (t_1 - t_0) / n \\rfloor

    and `s_f` from `t_1` on. For methods whose masks can regrow (`movement`); `gradual` refuses it.

    Args:
        sparsity: As for `polynomial`.
        periods: Number of periods `n`, at least 1, of at least two steps each.
        end: As for `polynomial`.
        begin: As for `polynomial`.
        initial: Fraction of zeros at the start of every period.

    Returns:
        The schedule.

    Raises:
        ValueError: If an argument is out of range, or the periods are too short.

    Example:
        >>> periodic(0.5, periods=2, end=6)(jnp.arange(7)).tolist()
        [0.0, 0.4375, 0.5, 0.0, 0.4375, 0.5, 0.5]

    Source: Srinivas et al., arXiv:2202.01290 (srinivas2022).
    """
    sparsity, begin, end, initial = _read("periodic", sparsity, begin, end, initial)
    periods = as_int("periodic", "periods", periods)
    if periods < 1 or (end - begin) // max(periods, 1) < 2:
        raise ValueError(f"periodic: periods={periods} in begin={begin} to end={end} need at least two steps each")
    length = (end - begin) // periods

    def done(step: jax.Array | int) -> jax.Array:
        place = jnp.maximum(jnp.asarray(step) - begin, 0) % length
        return jnp.where(jnp.asarray(step) >= end, 1.0, 1 - (1 - place / (length - 1)) ** 3)

    return Schedule("periodic", sparsity, begin, end, initial, done, rises=False)


def _read(who: str, sparsity: Any, begin: Any, end: Any, initial: Any) -> tuple[float, int, int, float]:
    """The settings that all schedules have, as numbers of Python."""
    sparsity, initial = check_sparsity(sparsity, "sparsity"), check_sparsity(initial, "initial")
    begin, end = integers(who, begin=begin, end=end)
    if initial > sparsity:
        raise ValueError(f"initial={initial} exceeds the final sparsity {sparsity}")
    if begin < 0:
        raise ValueError(f"begin={begin} must be at least 0")
    _check_progress(begin, end, 1)
    return sparsity, begin, end, initial


def _check_progress(begin: int, end: int, power: float) -> None:
    if end < begin:
        raise ValueError(f"pruning ends at step {end}, before it begins at {begin}; give end >= begin")
    if not 0 < power < math.inf:
        raise ValueError(f"power={power} must be positive and finite; 3 in the paper")
