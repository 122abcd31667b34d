"""Interleaved timing of several functions, and the ratios of their medians with intervals."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

# Shorter samples are dominated by clock resolution and interpreter overhead.
_SAMPLE_SECONDS = 2e-3


class Ratio(NamedTuple):
    """Speedup of a function over the first: the ratio of their medians, with an interval.

    Attributes:
        value: The ratio of medians; above 1 the function is faster than the first.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


class Timings(NamedTuple):
    """Result of `interleaved`.

    Attributes:
        seconds: Array `[functions, rounds]`, seconds per call.
        medians: Median seconds per call of each function.
        ratios: `Ratio` of each function to the first; exactly 1 for the first.
        inner: Calls per sample of each function.
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
    """Times functions interleaved, in rounds, so that a slow machine affects all of them equally.

    Even rounds run the functions in order, odd rounds in reverse (A B B A ...), which cancels a linear drift. Each
    sample is the mean of `inner` calls with `jax.block_until_ready`. With `m_i` the median of function `i`,

    .. math:: ratio_i = m_0 / m_i

    The interval is a percentile bootstrap over *rounds*: it draws all functions of a round together, so that common
    noise (clock frequency, other processes) does not widen it.

    Args:
        *functions: At least one function without arguments. Compile it first, or let the warm-up do it.
        warmup: Calls of each function before timing, at least 0.
        rounds: Samples of each function, at least 2.
        inner: Calls per sample; None chooses the fewest calls that take about two milliseconds, per function.
        level: Coverage of the interval, in (0, 1).
        resamples: Draws of the bootstrap, at least 1.
        seed: Seed of the bootstrap.
        clock: Returns the time in seconds.

    Returns:
        The samples, medians and ratios.

    Raises:
        ValueError: If no function is given, or a count or the level is out of range.

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
    """Returns the ratio of the median of the first row to that of each row, with an interval.

    The interval of `median(x_0) / median(x_i)` runs from the `(1 - level) / 2` to the `(1 + level) / 2` quantile of the
    same ratio over resampled columns.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    seconds = np.asarray(seconds, np.float64)
    if seconds.ndim != 2 or not np.all(seconds > 0):
        raise ValueError(
            f"seconds has shape {seconds.shape} and minimum {seconds.min(initial=np.inf)}; give positive times as "
            "[functions, rounds] (use a larger inner if the clock is too coarse)"
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
    """The smallest power of two of calls that takes long enough for the clock."""
    count = 1
    while count < 1 << 16 and _sample(function, count, clock) * count < _SAMPLE_SECONDS:
        count *= 2
    return count
