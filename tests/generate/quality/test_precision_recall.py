"""Precision and recall against brute force, and at the extremes."""

import numpy as np
import pytest

from compressjax import generate
from compressjax.generate.quality import _precision_recall


def test_both_are_those_of_balls_around_neighbors():
    draw = np.random.default_rng(0)
    real, fake, k = draw.normal(size=(30, 2)), 0.7 + 0.5 * draw.normal(size=(25, 2)), 3

    def inside(point, centers):
        for center in centers:
            radius = sorted(np.linalg.norm(center - other) for other in centers)[k]
            if np.linalg.norm(point - center) <= radius:
                return True
        return False

    found = generate.precision_recall(real, fake, k)
    assert found.precision == pytest.approx(np.mean([inside(x, real) for x in fake]))
    assert found.recall == pytest.approx(np.mean([inside(x, fake) for x in real]))


def test_copies_are_perfect_and_a_single_point_covers_nothing():
    real = np.random.default_rng(0).normal(size=(40, 3))
    assert generate.precision_recall(real, real) == (1.0, 1.0)
    one = np.repeat(real[:1], 10, 0) + 1e-6 * np.arange(10)[:, None]
    found = generate.precision_recall(real, one)
    assert found.precision == 1.0
    assert found.recall <= 0.05


def test_too_many_neighbors_are_refused():
    with pytest.raises(ValueError, match="k=3 must be at least 1 and below the 3 samples"):
        generate.precision_recall(np.ones((3, 1)), np.ones((9, 1)))


def test_points_on_a_ball_far_from_the_origin_and_blocks(monkeypatch):
    """Expanded squares would round distances of 1 near 1e8 away; a ball may have the radius 0."""
    monkeypatch.setattr(_precision_recall, "_BLOCK", 3)
    real = 1e8 + np.arange(8.0)[:, None]
    assert generate.precision_recall(real, 1e8 + np.array([[-1.0], [3.0], [8.0], [9.0]]), k=1).precision == 0.75
    copies = 1e8 + np.repeat([[0.0, 0.1], [0.7, 0.3]], 4, 0)
    assert generate.precision_recall(copies, copies, k=3) == (1.0, 1.0)
