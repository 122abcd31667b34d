"""Sizes of assistants: even ratios, and the largest member of a family by counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, distill, quant, tensors
from compressjax.distill.regimes._assistants import parameters_of
from experiments.models import create


def test_ratios_are_even() -> None:
    sizes = [2_395_210, *distill.assistants(2_395_210, 24_000, 4), 24_000]
    ratios = np.divide(sizes[1:], sizes[:-1])
    np.testing.assert_allclose(ratios, (24_000 / 2_395_210) ** (1 / 5), rtol=1e-4)


def test_the_largest_network_within_every_limit() -> None:
    def make(width: int) -> object:
        return create("mlp", {"widths": (width, width)}).init(jax.random.key(0), jnp.zeros((1, 6)))

    counts = {w: 6 * w + w + w * w + w + 10 * w + 10 for w in range(1, 65)}
    limits = distill.assistants(counts[64], counts[3], 3)
    want = [max(w for w, n in counts.items() if n <= limit) for limit in limits]
    assert distill.fit_sizes(make, limits, low=1, high=64) == want
    assert distill.fit_sizes(make, [counts[64], counts[1]], low=1, high=64) == [64, 1]
    with pytest.raises(ValueError, match=f"size high=64 has {counts[64]} parameters, fewer than {counts[64] + 1}"):
        distill.fit_sizes(make, [counts[64] + 1], low=1, high=64)


def test_what_is_no_number_of_the_model_does_not_count() -> None:
    tree = {"w": jnp.ones((2, 3)), "name": "net", "step": 3, "count": jnp.zeros(5, int), "key": jax.random.key(0)}
    assert parameters_of(tree) == 6
    node = tensors.Masked(tensors.LowRank(jnp.ones((4, 1)), jnp.ones((1, 5)), inputs=1), jnp.ones((4, 5), bool))
    assert parameters_of({"low": node}) == 9
    assert parameters_of({"codes": core.compress({"k": jnp.ones((4, 8))}, quant.rtn(4))["k"]}) == 32


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="student must be smaller"):
        distill.assistants(10, 10, 1)
    with pytest.raises(ValueError, match="no 9 sizes between 10 and 5"):
        distill.assistants(10, 5, 9)
    with pytest.raises(ValueError, match="size low=2 has 2 parameters"):
        distill.fit_sizes(jnp.zeros, [1], low=2, high=3)
    with pytest.raises(ValueError, match="low=3 is above high=2"):
        distill.fit_sizes(jnp.zeros, [1], low=3, high=2)
