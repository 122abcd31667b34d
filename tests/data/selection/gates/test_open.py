"""Open gates as a selection."""

import jax.numpy as jnp
import pytest

from compressjax.data.selection.gates._open import check_features, opened


def test_open_ones_or_the_most_open():
    scores = jnp.array([0.5, -1.0, 2.0])
    assert opened("g", scores, scores > 0, None).places.tolist() == [0, 2]
    assert opened("g", scores, scores > 0, 1).places.tolist() == [2]
    with pytest.raises(ValueError, match="every gate is closed; train with a smaller penalty"):
        opened("g", scores, scores > 9, None)
    with pytest.raises(ValueError, match="features=0"):
        check_features("g", 0)
