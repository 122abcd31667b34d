"""The front: no point dominates another, and both ends are there."""

import numpy as np
import pytest

from compressjax.search import choose, front


def test_points_rise_in_cost_and_fall_in_loss():
    rng = np.random.default_rng(0)
    losses = {f"l{i}": {str(b): float(rng.random() * 4.0**-b) for b in (2, 3, 4, 8)} for i in range(8)}
    bits = {leaf: {b: int(b) * int(100 * rng.random() + 10) for b in options} for leaf, options in losses.items()}
    points = front(losses, {"bits": bits}, "bits", points=9)
    assert np.all(np.diff([p.costs["bits"] for p in points]) > 0)
    assert np.all(np.diff([p.loss for p in points]) < 0)
    assert points[0].costs["bits"] == sum(min(options.values()) for options in bits.values())
    assert points[-1].loss == pytest.approx(sum(min(options.values()) for options in losses.values()))
    assert points[4] == choose(losses, {"bits": bits}, {"bits": points[4].costs["bits"]})


def test_bad_input():
    with pytest.raises(ValueError, match="points=1"):
        front({"a": {"4": 1.0}}, {"bits": {"a": {"4": 4}}}, "bits", points=1)
    with pytest.raises(ValueError, match="no costs for 'bytes'"):
        front({"a": {"4": 1.0}}, {"bits": {"a": {"4": 4}}}, "bytes")
