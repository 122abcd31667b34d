"""A tree comes back from its file, with the length that the file has."""

import jax.numpy as jnp
import numpy as np

from compressjax import artifact, compress, core, prune
from experiments.reproduce.through_file import through_file


def test_the_tree_and_the_bytes(draw, tmp_path):
    tree = compress({"kernel": jnp.asarray(draw.normal(size=(8, 4)), jnp.float32)}, prune.magnitude(0.5))
    found, size = through_file(tree)
    np.testing.assert_array_equal(core.materialize(found)["kernel"], core.materialize(tree)["kernel"])
    artifact.save(str(tmp_path / "model.cjx"), tree)
    assert size == (tmp_path / "model.cjx").stat().st_size
