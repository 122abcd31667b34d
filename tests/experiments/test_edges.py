"""Histograms of edges: against loops over pixels, and what a ramp shows."""

import math

import numpy as np

from experiments.reproduce.edges import edges, with_edges


def test_are_the_sums_of_the_formula(draw):
    images = draw.integers(0, 17, (2, 8, 8, 1))
    found = edges(images, 16.0, 4)
    assert found.shape == (2, 2, 2, 9)
    exact = np.zeros(found.shape)
    for n, a, b in np.ndindex(2, 2, 2):
        for i, j in np.ndindex(8, 8):
            weight = max(1 - abs(4 * a + 1.5 - i) / 4, 0) * max(1 - abs(4 * b + 1.5 - j) / 4, 0) / 16
            at = lambda p, q, n=n: images[n, p, q, 0] / 16 if 0 <= p < 8 and 0 <= q < 8 else 0.0  # noqa: E731
            right, down = at(i, j + 1) - at(i, j - 1), at(i + 1, j) - at(i - 1, j)
            for k in range(8):
                turn = math.atan2(down, right) - k * math.pi / 4
                exact[n, a, b, k] += weight * math.hypot(right, down) * max(math.cos(turn), 0) ** 4
            exact[n, a, b, 8] += weight * at(i, j)
    exact[..., :8] **= 0.5
    np.testing.assert_allclose(found, exact, atol=2e-3)


def test_a_problem_of_edges_keeps_labels_and_fingerprint(problem):
    seen = with_edges(problem, 4)
    assert seen.images.shape == seen.data.train_images.shape == (1257, 2, 2, 9)
    assert (seen.data.fingerprint, seen.data.mean) == (problem.data.fingerprint, 0.0)
    assert 0.3 < float(seen.standardized(seen.images).std()) < 3
