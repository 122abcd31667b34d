"""Random scores: uniform, repeatable, and a matter of the key and the path alone."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import saliency


def test_depends_on_key_and_path_only(key):
    a = saliency.random(key).score({"a": jnp.ones((50, 40)), "b": jnp.ones((50, 40))})
    again = saliency.random(key).score({"b": jnp.zeros((50, 40))})
    np.testing.assert_array_equal(a["b"], again["b"])
    assert not np.array_equal(a["a"], a["b"])
    other = saliency.random(jax.random.key(1)).score({"b": jnp.ones((50, 40))})
    assert not np.array_equal(a["b"], other["b"])


def test_is_uniform(key):
    drawn = np.sort(np.asarray(saliency.random(key).score({"a": jnp.ones((50, 40))})["a"]).ravel())
    # Kolmogorov's distance; 1.63 / sqrt(n) is its 1 % point.
    assert np.abs(drawn - (np.arange(2000) + 0.5) / 2000).max() < 1.63 / np.sqrt(2000)
