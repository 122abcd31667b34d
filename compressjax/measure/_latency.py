"""Timing of several functions in turn, and the ratio of their medians with an interval."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

# A sample much shorter than this is at the mercy of the clock and of the interpreter around it.
_SAMPLE_SECONDS = 2e-3


class Ratio(NamedTuple):
    """How many times faster a function is than the first: median of the first over its own median, with an interval.

    Attributes:
        value: the ratio of medians; above 1 the function is faster than the first.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


class Timings(NamedTuple):
    """What `interleaved` measured.

    Attributes:
        seconds: array `[functions, rounds]`, seconds per call.
        medians: median seconds per call of each function.
        ratios: for each function its `Ratio` to the first; the first has exactly 1.
        inner: calls per sample of each function.
    """

    seconds: np.ndarray
    medians: tuple[float, ...]
    ratios: tuple[Ratio, ...]
    inner: tuple[int, ...]


def interleaved(
    *functions: Callable[[], Any],
    warmup: int = 3,
    rounds: int = 30,
    inner: int | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Times functions in turn, round after round, so that whatever slows the machine slows all of them.

    Round `r` visits the functions in order if `r` is even and in reverse if it is odd (A B B A ...), which cancels a
    linear drift. Each sample is `inner` calls, each waited for with `jax.block_until_ready`, divided by `inner`. With
    `m_i` the median of function `i` over the rounds, the ratio is

        ratio_i = m_0 / m_i

    Its interval is the percentile bootstrap over *rounds*: all functions of a round are drawn together, so what they
    share (frequency, neighbors) does not widen it.

    Args:
        *functions: at least one function without arguments; what it returns is waited for. Compile it beforehand or
            let the warm-up do it.
        warmup: calls of each function before timing, at least 0.
        rounds: samples of each function, at least 2.
        inner: calls per sample, or None to choose for each function the least count that lasts about two milliseconds.
        level: coverage of the interval, in (0, 1).
        resamples: draws of the bootstrap, at least 1.
        seed: seed of the bootstrap; the interval is a function of the samples and this number.
        clock: returns the time in seconds.

    Returns:
        A `Timings`.

    Raises:
        ValueError: if no function is given or a count or the level is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> f = jax.jit(lambda: jnp.ones((8, 8)) @ jnp.ones((8, 8)))
        >>> timings = interleaved(f, f, warmup=1, rounds=5, inner=2)
        >>> timings.seconds.shape, timings.ratios[0]
        ((2, 5), Ratio(value=1.0, low=1.0, high=1.0))
    """
    if not functions:
        raise ValueError("interleaved() got no function to time; pass at least one function without arguments")
    for name, number, least in (("warmup", warmup, 0), ("rounds", rounds, 2), ("resamples", resamples, 1)):
        if number < least:
            raise ValueError(f"{name}={number} is too small; give at least {least}")
    if inner is not None and inner < 1:
        raise ValueError(f"inner={inner} is too small; give at least 1, or None to choose it by the clock")

    for function in functions:
        for _ in range(warmup):
            jax.block_until_ready(function())
    counts = tuple(inner or _inner(function, clock) for function in functions)

    seconds = np.empty((len(functions), rounds))
    for r in range(rounds):
        order = range(len(functions)) if r % 2 == 0 else reversed(range(len(functions)))
        for i in order:
            seconds[i, r] = _sample(functions[i], counts[i], clock)
    medians = tuple(float(m) for m in np.median(seconds, axis=1))
    ratios = speedups(seconds, level=level, resamples=resamples, seed=seed)
    return Timings(seconds, medians, ratios, counts)


def speedups(seconds: np.ndarray, *, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[Ratio, ...]:
    """Ratios of the first row's median to each row's median, with a bootstrap interval over columns.

    The interval of `median(x_0) / median(x_i)` runs from the `(1 - level) / 2` to the `(1 + level) / 2` quantile of the
    same ratio over resampled columns.

    Args:
        seconds: positive array `[functions, rounds]`; column `r` holds what was measured in round `r`.
        level: coverage of the interval, in (0, 1).
        resamples: draws of the bootstrap, at least 1.
        seed: seed of the draws.

    Returns:
        One `Ratio` a row; the first is exactly 1.

    Raises:
        ValueError: if `seconds` has not two axes or holds a value that is not positive, or `level` is out of range.

    Example:
        >>> speedups(np.array([[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]))[1]
        Ratio(value=2.0, low=2.0, high=2.0)

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    seconds = np.asarray(seconds, np.float64)
    if seconds.ndim != 2 or not np.all(seconds > 0):
        raise ValueError(
            f"seconds has shape {seconds.shape} and least value {seconds.min(initial=np.inf)}; give positive times as "
            "[functions, rounds] (a clock too coarse for the function needs a larger inner)"
        )
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not a coverage; give a number between 0 and 1, such as 0.95")
    rounds = seconds.shape[1]
    columns = np.random.default_rng(seed).integers(rounds, size=(resamples, rounds))
    medians = np.median(seconds[:, columns], axis=-1)
    values = np.median(seconds[0]) / np.median(seconds, axis=1)
    low, high = np.quantile(medians[0] / medians, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return tuple(Ratio(float(v), float(a), float(b)) for v, a, b in zip(values, low, high))


def _sample(function: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    """Seconds per call over `count` calls."""
    start = clock()
    for _ in range(count):
        jax.block_until_ready(function())
    return (clock() - start) / count


def _inner(function: Callable[[], Any], clock: Callable[[], float]) -> int:
    """The least power of two of calls that lasts long enough to be timed well."""
    count = 1
    while count < 1 << 16 and _sample(function, count, clock) * count < _SAMPLE_SECONDS:
        count *= 2
    return count
