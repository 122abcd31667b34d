"""`measure.interleaved` under a clock that the test moves by hand, so that nothing here depends on the machine."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.measure import interleaved
from compressjax.measure._latency import speedups


class Bench:
    """A clock that functions move forward by the seconds they are said to last, and a log of who ran."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def clock(self) -> float:
        return self.now

    def function(self, name: str, *costs: float):
        """A thunk that lasts the given seconds, one after another, the last one for ever."""
        left = list(costs)

        def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]
            self.log.append(name)
            return jnp.zeros(())

        return run


def test_order_alternates_after_the_warmup():
    bench = Bench()
    interleaved(
        bench.function("a", 1.0), bench.function("b", 1.0), warmup=2, rounds=3, inner=2, clock=bench.clock, resamples=1
    )
    assert "".join(bench.log) == "aabb" + "aabb" + "bbaa" + "aabb"


def test_medians_and_ratio_are_exact_for_constant_costs():
    bench = Bench()
    timings = interleaved(
        bench.function("a", 3.0), bench.function("b", 0.5), warmup=0, rounds=4, inner=3, clock=bench.clock
    )
    assert timings.medians == (3.0, 0.5)
    assert timings.ratios[1] == (6.0, 6.0, 6.0)
    assert timings.inner == (3, 3)


def test_one_outlier_moves_neither_the_median_nor_the_ratio():
    bench = Bench()
    timings = interleaved(
        bench.function("a", 2.0), bench.function("b", 100.0, 1.0), warmup=0, rounds=9, inner=1, clock=bench.clock
    )
    assert timings.seconds[1].max() == 100.0
    assert timings.ratios[1].value == 2.0


def test_drift_cancels():
    """Every call lasts longer than the one before: in fixed order the second function would look slower."""
    bench = Bench()
    tick = iter(range(1, 10_000))

    def drifting():
        bench.now += next(tick)
        return jnp.zeros(())

    timings = interleaved(drifting, drifting, warmup=0, rounds=8, inner=1, clock=bench.clock)
    assert timings.seconds.sum(axis=1)[0] == timings.seconds.sum(axis=1)[1]
    assert timings.ratios[1].value == 1.0


def test_inner_is_chosen_by_the_clock():
    bench = Bench()
    timings = interleaved(
        bench.function("a", 1.0), bench.function("b", 1.1e-4), warmup=0, rounds=2, clock=bench.clock, resamples=1
    )
    assert timings.inner == (1, 32)


def test_interval_has_its_coverage():
    """Over many pairs of log-normal samples with a known ratio of medians, 90 % intervals hold it about 90 times."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        seconds = np.exp(rng.normal(size=(2, 25)) * 0.3) * np.array([[3.0], [1.0]])
        ratio = speedups(seconds, level=0.9, resamples=400, seed=trial)[1]
        hits += ratio.low <= 3.0 <= ratio.high
    assert 0.85 <= hits / 200 <= 0.97


def test_interval_is_paired():
    """Noise that both functions of a round share does not widen the interval at all."""
    shared = np.exp(np.random.default_rng(1).normal(size=(1, 30)))
    ratio = speedups(shared * np.array([[4.0], [1.0]]))[1]
    assert ratio.low == pytest.approx(4.0)
    assert ratio.high == pytest.approx(4.0)


def test_interval_narrows_with_rounds_and_repeats_with_the_seed():
    seconds = np.exp(np.random.default_rng(2).normal(size=(2, 400)))
    few, many = speedups(seconds[:, :20])[1], speedups(seconds)[1]
    assert many.high - many.low < few.high - few.low
    assert many.low <= many.value <= many.high
    assert speedups(seconds, seed=3) == speedups(seconds, seed=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 1}, "rounds=1"),
        ({"warmup": -1}, "warmup=-1"),
        ({"inner": 0}, "inner=0"),
        ({"resamples": 0}, "resamples=0"),
        ({"level": 1.0}, "level=1.0"),
        ({"clock": lambda: 0.0, "inner": 1}, "larger inner"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        interleaved(lambda: jnp.zeros(()), **{"warmup": 0, "rounds": 2, **changes})


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="no function"):
        interleaved()
