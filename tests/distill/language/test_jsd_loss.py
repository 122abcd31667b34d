"""Jensen-Shannon against SciPy, and its limits."""

import jax
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special

from compressjax import distill


@pytest.fixture
def logits(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(jax.random.normal(k, (3, 4)) for k in jax.random.split(key))


def test_value(logits: tuple[jax.Array, jax.Array]) -> None:
    q, p = (scipy.special.softmax(np.asarray(x, np.float64), axis=-1) for x in logits)
    want = np.mean([scipy.spatial.distance.jensenshannon(a, b) ** 2 for a, b in zip(p, q)])
    np.testing.assert_allclose(distill.jsd_loss(*logits), want, rtol=1e-4)
    m = 0.2 * p + 0.8 * q
    want = np.mean(np.sum(0.2 * scipy.special.rel_entr(p, m) + 0.8 * scipy.special.rel_entr(q, m), -1))
    np.testing.assert_allclose(distill.jsd_loss(*logits, beta=0.2), want, rtol=1e-4)


def test_limits(logits: tuple[jax.Array, jax.Array]) -> None:
    for beta, share, kind in [(1e-3, 1e-3, "forward"), (1 - 1e-3, 1e-3, "reverse")]:
        got = float(distill.jsd_loss(*logits, beta=beta)) / share
        assert got == pytest.approx(float(distill.token_loss(*logits, kind=kind)), rel=0.01)
    with pytest.raises(ValueError, match="beta=0 .*use token_loss"):
        distill.jsd_loss(*logits, beta=0)
