"""Paths through noise, and sheets of pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate


def test_a_path_lies_on_the_circle_and_has_even_steps():
    a, b = jax.random.normal(jax.random.key(0), (2, 4, 16))
    a, b = (x / jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    path = generate.interpolate(a, b, 5)
    np.testing.assert_allclose(path[0], a, atol=1e-6)
    np.testing.assert_allclose(path[-1], b, atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(path, axis=-1), 1, atol=1e-5)
    angles = jnp.arccos(jnp.clip(jnp.sum(path[1:] * path[:-1], -1), -1, 1))
    np.testing.assert_allclose(angles, jnp.broadcast_to(angles[:1], angles.shape), atol=1e-3)
    line = generate.interpolate(a, 2 * a, 3)
    np.testing.assert_allclose(line[1], 1.5 * a, rtol=1e-4)


def test_a_sheet_has_every_image_in_its_place():
    images = np.linspace(-1, 1, 5)[:, None, None, None] * np.ones((5, 2, 3, 1))
    found = generate.sheet(images, 2)
    assert found.shape == (6, 6, 1)
    assert found.dtype == np.uint8
    assert [int(found[2 * (i // 2), 3 * (i % 2), 0]) for i in range(6)] == [0, 64, 128, 191, 255, 255]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="steps=1 at least 2"):
        generate.interpolate(jnp.ones(2), jnp.ones(2), 1)
    with pytest.raises(ValueError, match=r"images \(2, 3\)"):
        generate.sheet(jnp.ones((2, 3)), 1)
