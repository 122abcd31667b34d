"""Generators and discriminators: shapes, ranges, and labels that matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import generate


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3)])
def test_shapes_at_both_sizes(size, channels):
    made = generate.DCGANGenerator(size, channels, width=4)
    noise = jnp.ones((2, 5))
    images, variables = jax.eval_shape(made.init_with_output, jax.random.key(0), noise)
    assert images.shape == (2, size, size, channels)
    assert variables["params"]["grow_0"]["kernel"].shape == (4, 4, 8, 4)
    judge = generate.DCGANDiscriminator(width=4)
    logits, _ = jax.eval_shape(judge.init_with_output, jax.random.key(0), images)
    assert logits.shape == (2,)


@pytest.mark.thorough
def test_labels_change_images_and_logits_and_samples_do_not_mix():
    made, judge = generate.DCGANGenerator(4, width=4, classes=3), generate.DCGANDiscriminator(width=4, classes=3)
    noise, labels = jax.random.normal(jax.random.key(0), (3, 5)), jnp.array([0, 1, 2])
    variables = made.init(jax.random.key(1), noise, labels)
    images = made.apply(variables, noise, labels)
    assert np.abs(images).max() <= 1
    other = made.apply(variables, noise, labels.at[0].set(2))
    assert not np.allclose(images[0], other[0])
    np.testing.assert_allclose(images[1:], other[1:], rtol=1e-5, atol=1e-6)
    variables = judge.init(jax.random.key(2), images, labels)
    logits = judge.apply(variables, images, labels)
    other = judge.apply(variables, images, labels.at[0].set(2))
    assert logits[0] != other[0]
    np.testing.assert_allclose(logits[1:], other[1:], rtol=1e-5)


def test_bad_arguments_are_named():
    noise = jnp.ones((2, 5))
    with pytest.raises(ValueError, match="size=30 must be a multiple of 4"):
        generate.DCGANGenerator(30).init(jax.random.key(0), noise)
    with pytest.raises(ValueError, match="classes=3 and no labels"):
        generate.DCGANGenerator(4, classes=3).init(jax.random.key(0), noise)
    with pytest.raises(ValueError, match="classes=0 and labels"):
        generate.DCGANDiscriminator().init(jax.random.key(0), jnp.ones((2, 4, 4, 1)), jnp.zeros(2, int))
