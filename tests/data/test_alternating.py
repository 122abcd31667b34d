"""Methods that alternate, in passes and online, on a problem with a known answer."""

import jax.numpy as jnp
import numpy as np

from compressjax.data import Reads, _alternating
from tests.data import laws


def mean_way():
    """One atom, codes all 1: the answer is the mean."""
    return _alternating.Alternation(
        lambda key, shape: jnp.zeros(shape),
        lambda x, atoms: _alternating.products(jnp.ones((1, len(x))), x),
        lambda atoms, gram, targets: targets / gram,
        lambda atoms: atoms,
        _alternating.quadratic,
    )


def test_passes_and_online_steps_find_the_mean(key, draw):
    rows = draw.normal(size=(40, 3)).astype(np.float32)
    found = laws.check(_alternating.in_passes(mean_way(), 1, key, 2, "mean", Reads()), rows, 1e-4)
    np.testing.assert_allclose(found[0], rows.mean(0), atol=1e-6)
    online = laws.check(_alternating.online(mean_way(), 1, key, 1, 4, 1.0, "mean", Reads()), rows, 1e-4)
    np.testing.assert_allclose(online, found, atol=1e-6)


def test_older_statistics_fade(key):
    rows = np.repeat([[0.0], [1.0]], 4, axis=0).astype(np.float32)
    from compressjax import data

    found = data.fit(_alternating.online(mean_way(), 1, key, 1, 4, 0.5, "mean", Reads()), rows)
    np.testing.assert_allclose(found, [[4 / 6]], rtol=1e-6)
