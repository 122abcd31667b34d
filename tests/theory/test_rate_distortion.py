"""Rate-distortion curves against closed forms, and water-filling against SciPy's optimizer."""

import numpy as np
import pytest
import scipy.optimize

from compressjax.theory import binary_entropy, gaussian_rate, rate_distortion


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_a_coin_has_the_difference_of_entropies(p):
    """`R(D) = H(p) - H(D)` with the slope `log2((1 - D) / D)`."""
    point = rate_distortion([p, 1 - p], [[0, 1], [1, 0]], np.log2(0.9 / 0.1))
    assert point.distortion == pytest.approx(0.1, abs=1e-5)
    assert point.rate == pytest.approx(float(binary_entropy(p) - binary_entropy(0.1)), abs=1e-6)


def test_even_symbols_with_errors_that_count_alike():
    """`R(D) = log2 n - H(D) - D log2 (n - 1)`, and no bits where every symbol is guessed."""
    point = rate_distortion(np.full(5, 0.2), 1 - np.eye(5), 4.0)
    d = 4 / (4 + 2**4.0)
    assert point.distortion == pytest.approx(d)
    assert point.rate == pytest.approx(np.log2(5) - float(binary_entropy(d)) - d * 2)
    assert rate_distortion(np.full(5, 0.2), 1 - np.eye(5), 0.0) == (0.0, pytest.approx(0.8))


def test_a_fine_grid_of_a_normal_source_comes_near_the_gaussian():
    x = np.linspace(-5, 5, 101)
    p = np.exp(-(x**2) / 2)
    point = rate_distortion(p / p.sum(), np.square(x[:, None] - x), 2 / np.log(2), tolerance=1e-4)
    assert point.distortion == pytest.approx(0.25, abs=0.005)  # the slope is 1 / (2 D ln 2)
    assert point.rate == pytest.approx(gaussian_rate([1.0], point.distortion), abs=0.01)


def test_steep_slopes_do_not_underflow():
    point = rate_distortion([0.25, 0.75], [[1.0, 3000.0], [5000.0, 2.0]], 50.0)
    assert point.distortion == pytest.approx(1.75)
    assert point.rate == pytest.approx(float(binary_entropy(0.25)))


def test_water_filling_is_the_best_allocation(draw):
    variances = draw.exponential(size=6)
    for share in (0.05, 0.4, 0.9):
        total = share * variances.sum()
        found = scipy.optimize.minimize(
            lambda d: -0.5 * np.log2(d / variances).sum(), share * variances, method="SLSQP", tol=1e-12,
            bounds=[(1e-9, v) for v in variances],
            constraints={"type": "eq", "fun": lambda d, total=total: d.sum() - total},
        )  # fmt: skip
        assert gaussian_rate(variances, total) == pytest.approx(found.fun, abs=1e-4)
    assert gaussian_rate([0.0, 2.0], 0.5) == 1.0
    assert gaussian_rate([0.0, 2.0], 2.0) == 0.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rate_distortion([0.5, 0.4], np.zeros((2, 2)), 1.0), "sum to 0.9"),
        (lambda: rate_distortion([0.5, 0.5], np.zeros((3, 2)), 1.0), r"distortions \[3, 2\]"),
        (lambda: rate_distortion([1.0], [[0.0]], -1.0), "slope=-1.0"),
        (lambda: rate_distortion([0.4, 0.6], [[0, 1], [1, 0]], 0.5, iterations=1), "raise iterations"),
        (lambda: gaussian_rate([], 1.0), "0 variances"),
        (lambda: gaussian_rate([1.0], 0.0), "distortion=0.0 above 0"),
    ],
)
def test_bad_arguments(call, said):
    with pytest.raises(ValueError, match=said):
        call()
