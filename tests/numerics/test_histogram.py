"""Bins of magnitudes: what lies in them, and that they hold everything."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._histogram import bin_centers, count_magnitudes
from tests import helpers


@pytest.mark.thorough
def test_entries_lie_within_a_sixteenth_of_their_center():
    x = jnp.exp(8 * helpers.array(0, (300,))) * jnp.where(helpers.array(1, (300,)) > 0, 1, -1)
    for value in np.asarray(x)[:50]:
        place = int(jnp.argmax(count_magnitudes(value[None])))
        np.testing.assert_allclose(bin_centers()[place], abs(value), rtol=1 / 15)
    assert float(count_magnitudes(x).sum()) == 300


def test_batches_have_a_histogram_each_and_zeros_their_bin():
    x = jnp.stack([jnp.zeros((4, 5)), jnp.full((4, 5), -2.0)]).astype(jnp.bfloat16)
    found = count_magnitudes(x, 1)
    assert found.shape == (2, 2048)
    assert found[0, 0] == 20.0
    assert found[1, int(np.argmin(np.abs(np.asarray(bin_centers()) - 2.1)))] == 20.0
