"""Steps on disk come back as they were, and only to their own calibration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from compressjax.calibration._folder import Finished, Folder
from compressjax.core import compress


def test_a_step_comes_back(tmp_path):
    folder = Folder(tmp_path / "new", {"params": "1"})
    assert folder.load(0, ("a/kernel",)) is None
    node = compress({"k": jnp.arange(6.0).reshape(2, 3)}, quant.rtn(4))["k"]
    folder.save(0, ("a/kernel", "b"), Finished({"a/kernel": node}, {"b": "too small"}))
    found = folder.load(0, ("a/kernel", "b"))
    assert found.left == {"b": "too small"}
    assert jax.tree.structure(found.leaves["a/kernel"]) == jax.tree.structure(node)
    jax.tree.map(np.testing.assert_array_equal, found.leaves["a/kernel"], node)
    with pytest.raises(ValueError, match="with other params"):
        Folder(tmp_path / "new", {"params": "2"}).load(0, ("a/kernel", "b"))
    with pytest.raises(ValueError, match="with other steps"):
        folder.load(0, ("b",))
