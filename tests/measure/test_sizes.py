"""All sizes of a file, against its length and the arrays in memory."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, measure, tensors


def test_sizes_add_up_and_are_those_of_the_arrays(tmp_path):
    codes = np.random.default_rng(0).choice(4, (64, 32), p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)
    book = tensors.Codebook(jnp.arange(4.0), jnp.asarray(codes))
    shared = jnp.ones((3, 2)) * jnp.arange(2.0)[None]
    tree = {"book": book, "bias": jnp.arange(3.0), "one": shared, "two": shared}
    file = tmp_path / "m.cjx"
    artifact.save(file, tree, program=b"x" * 99)
    rows = {row.path: row for row in measure.sizes(file, tree)}
    total = rows["total"]
    assert total.coded + total.table + total.header == file.stat().st_size
    assert rows["(program)"].header > 0
    row = rows["book"]
    entropy = -2048 * sum(p * np.log2(p) for p in np.bincount(codes.ravel()) / 2048)
    assert row.information == np.ceil((entropy + 4 * 32) / 8)
    assert row.packed == (2048 * 2 + 4 * 32) // 8
    assert row.table <= 16 < row.coded < 1.05 * entropy / 8 + 8
    assert (row.dense, row.device, row.host) == (8192, 2048 + 16, 512 + 16)
    assert rows["two"].coded == rows["two"].information == 0
    assert measure.sizes(file)[-1].device is None


def test_another_tree_is_refused(tmp_path):
    artifact.save(tmp_path / "m.cjx", {"bias": jnp.arange(3.0)})
    with pytest.raises(ValueError, match="differ at"):
        measure.sizes(tmp_path / "m.cjx", {"other": jnp.arange(3.0)})
