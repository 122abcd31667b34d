"""Distributions from curves: brute force over a grid, totals, and what is refused."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from compressjax.prune.distributions._by_sensitivity import _hull


def test_cheapest_allocation_by_brute_force():
    grid = np.linspace(0, 0.8, 9)
    curves = {"a": grid**2, "b": 3 * grid**2, "c": 0.2 * grid**4}
    sizes = {"a": 100, "b": 50, "c": 200}
    found = prune.distributions.by_sensitivity(grid, curves, sizes, 0.4)
    total = lambda s: sum(np.interp(s[p], grid, curves[p]) for p in curves)  # noqa: E731
    assert abs(sum(found[p] * sizes[p] for p in sizes) - 0.4 * 350) < 1e-6
    fine = np.linspace(0, 0.8, 81)
    best = min(
        total({"a": a, "b": b, "c": c})
        for a, b in itertools.product(fine, fine)
        if 0 <= (c := (140 - 100 * a - 50 * b) / 200) <= 0.8
    )
    assert total(found) <= best + 1e-9


def test_hull_is_convex_and_below():
    rng = np.random.default_rng(0)
    x, y = np.linspace(0, 0.9, 12), np.maximum.accumulate(rng.normal(size=12))
    parts = _hull(x, y)
    slopes = [slope for slope, _ in parts]
    assert slopes == sorted(slopes)
    ends = np.cumsum([0, *(width for _, width in parts)])
    heights = y[0] + np.cumsum([0, *(slope * width for slope, width in parts)])
    assert (np.interp(x, ends, heights) <= y + 1e-12).all()


def test_is_a_distribution():
    curves, sizes = {"a/kernel": (1, 1), "b/kernel": (2, 9)}, {"a/kernel": 40, "b/kernel": 20}
    found = prune.distributions.by_sensitivity((0.5, 0.9), curves, sizes, 0.6, base=1)
    params = {name: {"kernel": jnp.ones(shape)} for name, shape in (("a", (8, 5)), ("b", (4, 5)))}
    masks = prune.magnitude(0.6, found).init(params).masks
    assert abs(sum(int(m.sum()) for m in masks.values()) - 24) <= 1
    assert masks["b/kernel"].sum() > masks["a/kernel"].sum()


def test_bad_curves():
    sizes = {"a": 10}
    for grid in ((0.5, 0.9), (0.0, 0.5, 0.5), (0.0, 1.0), ()):
        with pytest.raises(ValueError, match="must ascend from 0"):
            prune.distributions.by_sensitivity(grid, {"a": [1.0] * len(grid)}, sizes, 0.3)
    with pytest.raises(ValueError, match="exceeds the end of the curves, 0.5"):
        prune.distributions.by_sensitivity((0.0, 0.5), {"a": (1, 2)}, sizes, 0.7)
