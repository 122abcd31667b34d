"""Augmented images are among all shifted and mirrored ones, enumerated in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def views(image: np.ndarray, shift: int) -> dict[tuple[int, int, bool], np.ndarray]:
    """Every shift, with and without the mirror."""
    height, width = image.shape[:2]
    wide = np.zeros((height + 2 * shift, width + 2 * shift, image.shape[2]), image.dtype)
    wide[shift : shift + height, shift : shift + width] = image
    cuts = {(a, b): wide[a : a + height, b : b + width] for a in range(2 * shift + 1) for b in range(2 * shift + 1)}
    return {(a, b, f): cut[:, ::-1] if f else cut for (a, b), cut in cuts.items() for f in (False, True)}


def test_every_view_is_a_shift_or_its_mirror_and_all_occur(key: jax.Array, draw: np.random.Generator) -> None:
    image = draw.integers(1, 255, (5, 4, 2)).astype(np.uint8)
    found = np.asarray(jax.jit(lambda k, x: data.augment(k, x, shift=1))(key, np.stack([image] * 200)))
    assert found.dtype == np.uint8
    named = {view.tobytes(): name for name, view in views(image, 1).items()}
    assert {named[np.ascontiguousarray(x).tobytes()] for x in found} == set(named.values())
    np.testing.assert_array_equal(data.augment(key, image[None], shift=0, flip=False)[0], image)


def test_one_key_is_one_view_whatever_is_shown(key: jax.Array) -> None:
    places = jnp.broadcast_to(jnp.arange(36.0).reshape(6, 6, 1), (4, 6, 6, 1))
    both = [data.augment(key, x, shift=2) for x in (places, jnp.tile(places, (1, 1, 1, 3)))]
    np.testing.assert_array_equal(jnp.tile(both[0], (1, 1, 1, 3)), both[1])
    assert len({x.tobytes() for x in np.asarray(both[0])}) > 1  # images of a batch differ


def test_the_hole_is_a_square_cut_off_at_the_border(key: jax.Array) -> None:
    found = np.asarray(data.augment(key, jnp.ones((300, 6, 5, 1)), shift=0, flip=False, cutout=3))
    want = {}
    for a in range(6):
        for b in range(5):
            x = np.ones((6, 5, 1), np.float32)
            x[max(a - 1, 0) : a + 2, max(b - 1, 0) : b + 2] = 0
            want[x.tobytes()] = (a, b)
    assert {want[x.tobytes()] for x in found} == set(want.values())


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="must be"):
        data.augment(key, jnp.ones((3, 4, 4)))
    with pytest.raises(ValueError, match="shift=5"):
        data.augment(key, jnp.ones((1, 4, 4, 1)), shift=5)
