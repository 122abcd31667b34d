"""Messages: exact, as long as the estimator says, and refused where no writer made them."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.coding import ArtifactError
from compressjax.tensors import Codebook
from compressjax.theory import read_message, write_message


def node(codes, levels):
    table = np.linspace(-1, 1, levels).astype(np.float16)
    return Codebook(jnp.asarray(table), jnp.asarray(np.asarray(codes, np.uint8)))


@pytest.mark.parametrize(("levels", "size"), [(2, 1), (3, 700), (16, 40)])
def test_what_was_written_is_read_at_the_length_of_the_estimator(tmp_path, draw, levels, size):
    codes = draw.choice(levels, size, p=np.arange(1, levels + 1) / np.arange(1, levels + 1).sum())
    length = write_message(tmp_path / "m", node(codes, levels), seed=300)
    found = read_message(tmp_path / "m")
    assert found.seed == 300
    np.testing.assert_array_equal(found.coordinates.codes, codes)
    np.testing.assert_array_equal(found.coordinates.centroids, node(codes, levels).centroids)
    counts = [0] * levels
    bits = 0.0
    for i, code in enumerate(codes):
        bits -= math.log2((counts[code] + 0.5) / (i + levels / 2))
        counts[code] += 1
    head = 1 + (2 if size > 127 else 1) + 2 + 2 * levels
    assert (tmp_path / "m").stat().st_size == length <= head + math.ceil(bits / 8) + 1


def test_other_files_are_refused(tmp_path, draw):
    write_message(tmp_path / "m", node(draw.integers(0, 3, 50), 3))
    data = (tmp_path / "m").read_bytes()
    for wrong in (b"", data[:5], data + b"\0", data + b"\1", b"\0" + data[1:]):
        (tmp_path / "w").write_bytes(wrong)
        with pytest.raises(ArtifactError, match="is no message of coordinates"):
            read_message(tmp_path / "w")


def test_only_what_fits_is_written(tmp_path):
    for bad in (Codebook(jnp.zeros(2), jnp.zeros(3, jnp.uint8)), node(np.zeros((2, 2)), 2), node([0], 1)):
        with pytest.raises(ValueError, match="write_message: a table"):
            write_message(tmp_path / "m", bad)
    with pytest.raises(ValueError, match="seed below"):
        write_message(tmp_path / "m", node([0], 2), seed=2**32)
